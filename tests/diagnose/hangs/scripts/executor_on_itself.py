"""All workers of an executor wait for tasks of the same executor.

expect: executor-waits-on-itself
thread: ThreadPoolExecutor-0_0
"""

from concurrent.futures import ThreadPoolExecutor

from base import session

conn = session()
executor = ThreadPoolExecutor(1)


def inner():
    return 1


def outer():
    return executor.submit(inner).result()  # WAITS


executor.submit(outer).result()
