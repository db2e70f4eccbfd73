"""The child of a fork waits for a lock that a thread of its parent held.

expect: fork-with-held-lock
thread: MainThread
"""

import multiprocessing
import threading

from base import session

lock = threading.Lock()
taken, forked = threading.Event(), threading.Event()


def slow():
    with lock:
        taken.set()
        forked.wait()


def child():
    with lock:  # WAITS
        pass


threading.Thread(target=slow).start()
taken.wait()
process = multiprocessing.get_context("fork").Process(target=child)
process.start()
forked.set()
conn = session()
process.join()
