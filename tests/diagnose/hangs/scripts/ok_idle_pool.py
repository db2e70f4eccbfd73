"""A service whose pool is idle, and whose main waits for a signal.

expect: none
thread: -
"""

import signal

from base import new_pool

pool = new_pool(max_size=3, timeout=30)
signal.pause()  # WAITS
