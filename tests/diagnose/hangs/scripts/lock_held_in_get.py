"""A thread waits on a queue within a lock that the others want.

expect: queue-get-no-producer
thread: holder
"""

import queue
import threading
import time

from base import session

lock, q = threading.Lock(), queue.Queue()


def holder():
    with lock:
        q.get()  # WAITS


def wanter():
    with lock:
        pass


conn = session()
threads = [threading.Thread(target=holder, name="holder"), threading.Thread(target=wanter)]
for thread in threads:
    thread.start()
    time.sleep(0.2)
for thread in threads:
    thread.join()
