"""A thread acquires a lock and raises before it releases it.

expect: lock-holder-gone
thread: second
"""

import threading

from base import session

lock = threading.Lock()


def update(n):
    lock.acquire()  # WAITS
    if n == 1:
        raise OSError("disk full")  # RAISES
    lock.release()


conn = session()
first = threading.Thread(target=update, args=(1,))
first.start()
first.join()
second = threading.Thread(target=update, args=(2,), name="second")
second.start()
second.join()
