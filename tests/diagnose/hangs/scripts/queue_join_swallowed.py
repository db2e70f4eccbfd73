"""The worker swallows the error, and skips task_done() with it.

expect: queue-join-task-not-done
thread: MainThread
"""

import queue
import threading

from base import session

q = queue.Queue()


def handle(item):
    if item == 3:
        raise ValueError("bad item")


def worker():
    while True:
        item = q.get()
        try:
            handle(item)
            q.task_done()
        except ValueError:
            continue


conn = session()
for _ in range(2):
    threading.Thread(target=worker, daemon=True).start()
for n in range(6):
    q.put(n)
q.join()  # WAITS
