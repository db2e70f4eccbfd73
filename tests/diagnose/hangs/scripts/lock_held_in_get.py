"""A thread waits on a queue within a lock that the others want.

expect: queue-get-no-producer
thread: holder
"""

import queue
import threading

from base import session

lock, q = threading.Lock(), queue.Queue()
has_it = threading.Event()


def holder():
    with lock:
        has_it.set()
        q.get()  # WAITS


def wanter():
    with lock:
        pass


conn = session()
threads = [threading.Thread(target=holder, name="holder"), threading.Thread(target=wanter)]
for thread in threads:
    thread.start()
    has_it.wait()
for thread in threads:
    thread.join()
