"""Two threads each want a second connection of a pool of two within their first.

expect: pool-second-loan
thread: one
"""

import threading

from base import new_pool

pool = new_pool(max_size=2, timeout=1e7)
both = threading.Barrier(2)


def audit():
    with pool.connection() as conn:  # WAITS
        conn.execute("select 2")


def run():
    with pool.connection() as conn:
        conn.execute("select 1")
        conn.commit()
        both.wait()
        audit()


for name in ("one", "two"):
    threading.Thread(target=run, name=name).start()
