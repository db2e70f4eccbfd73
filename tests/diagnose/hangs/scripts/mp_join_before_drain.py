"""join() of a child that still has items for a queue that the parent reads later.

expect: mp-join-before-drain
thread: MainThread
"""

import multiprocessing

from base import session

context = multiprocessing.get_context("fork")
q = context.Queue()


def child():
    q.put("x" * 1_000_000)


process = context.Process(target=child)
process.start()
conn = session()
process.join()  # WAITS
