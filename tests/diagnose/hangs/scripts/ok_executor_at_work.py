"""An executor whose workers work.

expect: none
thread: -
"""

import time
from concurrent.futures import ThreadPoolExecutor

from base import session


def work(n):
    time.sleep(600)


conn = session()
with ThreadPoolExecutor(3) as executor:
    list(executor.map(work, range(3)))  # WAITS
