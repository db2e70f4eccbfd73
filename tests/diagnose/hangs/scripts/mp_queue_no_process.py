"""get() on a multiprocessing queue whose other process has ended.

expect: mp-queue-no-process
thread: MainThread
"""

import multiprocessing

from base import session

context = multiprocessing.get_context("fork")
q = context.Queue()


def child():
    raise SystemExit(1)


process = context.Process(target=child)
process.start()
process.join()
conn = session()
q.get()  # WAITS
