"""A service that waits for the signal that ends it.

expect: none
thread: -
"""

import signal
import threading

from base import session

conn = session()
stop = threading.Event()
signal.signal(signal.SIGTERM, lambda *_: stop.set())
stop.wait()  # WAITS
