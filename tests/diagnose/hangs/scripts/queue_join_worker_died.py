"""A worker ends of an error before task_done().

expect: queue-join-no-worker
thread: MainThread
"""

import queue
import threading

from base import session

q = queue.Queue()


def worker():
    while True:
        item = q.get()
        if item == 3:
            raise ValueError("bad item")  # RAISES
        q.task_done()


conn = session()
threading.Thread(target=worker, daemon=True).start()
for n in range(6):
    q.put(n)
q.join()  # WAITS
