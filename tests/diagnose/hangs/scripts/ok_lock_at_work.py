"""The holder of a lock, and of a semaphore, is at work.

expect: none
thread: -
"""

import threading
import time

from base import session

lock, permits = threading.Lock(), threading.Semaphore(1)
has_both = threading.Event()
conn = session()


def work():
    with lock, permits:
        has_both.set()
        time.sleep(600)


def permit():
    with permits:
        pass


threading.Thread(target=work).start()
has_both.wait()
threading.Thread(target=permit).start()
with lock:  # WAITS
    pass
