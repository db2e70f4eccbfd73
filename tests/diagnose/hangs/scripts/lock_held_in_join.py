"""Main joins, within a lock, a thread that wants the lock.

expect: lock-held-while-waiting
thread: wanter
"""

import threading

from base import session

lock = threading.Lock()
conn = session()


def want():
    with lock:  # WAITS
        pass


with lock:
    wanter = threading.Thread(target=want, name="wanter")
    wanter.start()
    wanter.join()
