"""Two threads take two locks in opposite order.

expect: lock-order
thread: one
"""

import threading

from base import session

a, b = threading.Lock(), threading.Lock()
both = threading.Barrier(2)


def one():
    with a:
        both.wait()
        with b:  # WAITS
            pass


def two():
    with b:
        both.wait()
        with a:
            pass


conn = session()
threads = [threading.Thread(target=f, name=f.__name__) for f in (one, two)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
