"""Waits for a connection with a time limit.

expect: none
thread: -
"""

from base import new_pool

pool = new_pool(max_size=1, timeout=300)
first = pool.getconn()
pool.getconn()  # WAITS
