"""Looks for work now and then.

expect: none
thread: -
"""

import time

from base import session

conn = session()
while True:
    time.sleep(600)  # WAITS
