"""A function takes a lock that its caller has.

expect: lock-taken-twice
thread: MainThread
"""

import threading

from base import session

lock = threading.Lock()


def total():
    with lock:  # WAITS
        return 1


conn = session()
with lock:
    total()
