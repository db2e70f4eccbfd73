"""Two locks whose holders have ended: two threads wait, and no order is wrong.

expect: locks-never-released
thread: first
"""

import threading

from base import session

a, b = threading.Lock(), threading.Lock()
conn = session()
conn.execute("select 1")


def die(lock):
    lock.acquire()
    raise ValueError("bad row")


def use(lock):
    lock.acquire()  # WAITS


for lock in (a, b):
    thread = threading.Thread(target=die, args=(lock,))
    thread.start()
    thread.join()
for name, lock in (("first", a), ("second", b)):
    threading.Thread(target=use, args=(lock,), name=name).start()
