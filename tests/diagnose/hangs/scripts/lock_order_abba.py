"""Two threads take two locks in opposite order.

expect: lock-order
thread: one
"""

import threading
import time

from base import session

a, b = threading.Lock(), threading.Lock()


def one():
    with a:
        time.sleep(0.3)
        with b:  # WAITS
            pass


def two():
    with b:
        time.sleep(0.3)
        with a:
            pass


conn = session()
threads = [threading.Thread(target=f, name=f.__name__) for f in (one, two)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
