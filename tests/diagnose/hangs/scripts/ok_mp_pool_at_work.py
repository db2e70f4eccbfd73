"""A multiprocessing pool that works.

expect: none
thread: -
"""

import multiprocessing
import time

from base import session

if __name__ == "__main__":
    with multiprocessing.get_context("fork").Pool(2) as pool:
        conn = session()
        pool.map(time.sleep, [100000, 100000])  # WAITS
