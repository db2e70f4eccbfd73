"""The executor of a with block waits for a task that waits for an event.

expect: event-never-set
thread: ThreadPoolExecutor-0_0
"""

import threading
from concurrent.futures import ThreadPoolExecutor

from base import session

go = threading.Event()


def task():
    go.wait()  # WAITS


conn = session()
with ThreadPoolExecutor(1) as executor:
    executor.submit(task)
