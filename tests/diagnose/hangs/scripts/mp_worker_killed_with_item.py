"""One of two worker processes was killed with an item in hand: the parent waits for a result that nobody makes.

expect: mp-queue-no-process
thread: MainThread
"""

import multiprocessing
import os

from base import session

context = multiprocessing.get_context("fork")


def work(tasks, results):
    for number in iter(tasks.get, None):
        if number == 3:
            os._exit(1)
        results.put(number)


tasks, results = context.Queue(), context.Queue()
workers = [context.Process(target=work, args=(tasks, results)) for _ in range(2)]
for worker in workers:
    worker.start()
for number in range(5):
    tasks.put(number)
conn = session()
for _ in range(5):
    conn.execute("select %s", (results.get(),))  # WAITS
