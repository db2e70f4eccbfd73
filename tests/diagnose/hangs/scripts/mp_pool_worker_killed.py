"""A worker of a multiprocessing pool is killed with its task.

expect: mp-pool-worker-killed
thread: MainThread
"""

import multiprocessing
import os
import signal
import time

from base import session


def work(n):
    if n == 1:
        os.kill(os.getpid(), signal.SIGKILL)
    time.sleep(0.1)
    return n


if __name__ == "__main__":
    with multiprocessing.get_context("fork").Pool(2) as pool:
        conn = session()
        pool.map(work, range(4), chunksize=1)  # WAITS
