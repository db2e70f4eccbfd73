"""An executor of processes that work.

expect: none
thread: -
"""

import time
from concurrent.futures import ProcessPoolExecutor

from base import session

if __name__ == "__main__":
    conn = session()
    with ProcessPoolExecutor(2) as executor:
        list(executor.map(time.sleep, [600, 600]))  # WAITS
