"""as_completed() waits for a task that waits on a queue.

expect: queue-get-no-producer
thread: ThreadPoolExecutor-0_0
"""

import queue
from concurrent.futures import ThreadPoolExecutor, as_completed

from base import session

q = queue.Queue()


def fetch(n):
    return q.get() if n == 0 else n  # WAITS


conn = session()
executor = ThreadPoolExecutor(3)
for future in as_completed([executor.submit(fetch, n) for n in range(3)]):
    future.result()
