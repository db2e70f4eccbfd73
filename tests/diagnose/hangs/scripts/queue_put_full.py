"""The only consumer of a bounded queue ends of an error.

expect: queue-put-full
thread: MainThread
"""

import queue
import threading

from base import session

q = queue.Queue(maxsize=3)


def consumer():
    while True:
        item = q.get()
        if item == 2:
            raise RuntimeError("no room on the disk")  # RAISES


conn = session()
threading.Thread(target=consumer, daemon=True).start()
for n in range(50):
    q.put(n)  # WAITS
