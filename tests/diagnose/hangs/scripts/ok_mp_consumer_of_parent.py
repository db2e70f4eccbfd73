"""A consumer process whose parent puts an item every five minutes.

expect: none
thread: -
"""

import multiprocessing
import time

from base import session


def consume(queue):
    conn = session()
    conn.execute("select 1")
    while True:
        queue.get()


if __name__ == "__main__":
    items = multiprocessing.Queue()
    multiprocessing.Process(target=consume, args=(items,)).start()
    while True:
        time.sleep(300)  # WAITS
        items.put(1)
