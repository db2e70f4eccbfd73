"""A pool of threads of multiprocessing.pool, which is no pool of processes.

expect: none
thread: -
"""

import time
from multiprocessing.pool import ThreadPool

from base import session

conn = session()
with ThreadPool(2) as pool:
    pool.map(time.sleep, [100000, 100000])  # WAITS
