"""The child of a fork waits for a lock that a thread of its parent held.

expect: fork-with-held-lock
thread: MainThread
"""

import multiprocessing
import threading
import time

from base import session

lock = threading.Lock()


def slow():
    with lock:
        time.sleep(1)


def child():
    with lock:  # WAITS
        pass


threading.Thread(target=slow).start()
time.sleep(0.3)
process = multiprocessing.get_context("fork").Process(target=child)
process.start()
conn = session()
process.join()
