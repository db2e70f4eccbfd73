"""A thread cannot write its traceback: nobody reads standard error.

expect: stderr-pipe-full
thread: worker
"""

import os
import threading

from base import session

reader, writer = os.pipe()
os.dup2(writer, 2)
os.write(2, b"." * 65000)
conn = session()


def work(n):
    if n:
        work(n - 1)
    raise ValueError("x" * 3000)


worker = threading.Thread(target=work, args=(200,), name="worker")
worker.start()
worker.join()  # WAITS
