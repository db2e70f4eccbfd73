"""A reader keeps the pool's connection while it waits for an item of a writer that waits for the pool.

expect: pool-loan-kept
thread: reader
"""

import queue
import threading

from base import new_pool

pool = new_pool(max_size=1, timeout=1e7)
rows = queue.Queue()
taken = threading.Event()


def reader():
    with pool.connection() as conn:
        conn.execute("select 1")
        conn.commit()
        taken.set()
        rows.get()  # WAITS


def writer():
    taken.wait()
    with pool.connection():
        rows.put(1)


threading.Thread(target=reader, name="reader").start()
threading.Thread(target=writer, name="writer").start()
