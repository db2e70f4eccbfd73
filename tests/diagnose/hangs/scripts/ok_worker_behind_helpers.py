"""A worker is at work, and gives its item back by a helper.

expect: none
thread: -
"""

import queue
import threading
import time

from base import session

q = queue.Queue()


def done():
    q.task_done()


def finish():
    done()


def worker():
    q.get()
    time.sleep(600)
    finish()


conn = session()
threading.Thread(target=worker, daemon=True).start()
q.put(1)
q.join()  # WAITS
