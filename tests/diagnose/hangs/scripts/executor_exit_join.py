"""Main raises; the exit of the interpreter joins a worker that waits on a queue.

expect: queue-get-no-producer
thread: ThreadPoolExecutor-0_0
"""

import queue
from concurrent.futures import ThreadPoolExecutor

from base import session

results = queue.Queue()
conn = session()


def writer():
    while results.get() is not None:  # WAITS
        pass


executor = ThreadPoolExecutor(2)
executor.submit(writer)
raise RuntimeError("main failed")  # RAISES
