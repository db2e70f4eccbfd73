"""Connections of a pool were never given back.

expect: pool-empty
thread: late
"""

import threading

from base import new_pool

pool = new_pool(max_size=2, timeout=1e7)


def work(n):
    conn = pool.getconn()  # WAITS
    if n < 2:
        raise ValueError("bad row")  # RAISES
    pool.putconn(conn)


for n in range(2):
    thread = threading.Thread(target=work, args=(n,))
    thread.start()
    thread.join()
late = threading.Thread(target=work, args=(2,), name="late")
late.start()
late.join()
