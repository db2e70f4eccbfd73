"""A scheduler: Event.wait() with a time limit.

expect: none
thread: -
"""

import threading

from base import session

stop = threading.Event()
conn = session()
while not stop.wait(3600):  # WAITS
    pass
