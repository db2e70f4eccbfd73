"""Tasks that are functions written in C are at work.

expect: none
thread: -
"""

import time
from concurrent.futures import ThreadPoolExecutor, as_completed

from base import session

conn = session()
executor = ThreadPoolExecutor(2)
for future in as_completed([executor.submit(time.sleep, 600) for _ in range(2)]):  # WAITS
    future.result()
