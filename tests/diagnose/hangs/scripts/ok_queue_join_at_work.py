"""Workers work on what main waits for.

expect: none
thread: -
"""

import queue
import threading
import time

from base import session

q = queue.Queue()


def work(item):
    time.sleep(600)


def worker():
    while True:
        item = q.get()
        work(item)
        q.task_done()


conn = session()
for _ in range(2):
    threading.Thread(target=worker, daemon=True).start()
for n in range(6):
    q.put(n)
q.join()  # WAITS
