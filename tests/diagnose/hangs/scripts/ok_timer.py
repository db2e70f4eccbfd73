"""A timer will set the event.

expect: none
thread: -
"""

import threading

from base import session

conn = session()
event = threading.Event()
threading.Timer(600, event.set).start()
event.wait()  # WAITS
