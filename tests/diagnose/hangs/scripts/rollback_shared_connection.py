"""It raised, and waits to roll back a connection that another thread is using.

expect: rollback-waits-shared-connection
thread: user
"""

import threading
import time

from base import session

conn = session()


def long():
    conn.execute("select pg_sleep(100000)")


def use():
    with conn:  # WAITS
        raise ValueError("bad row")  # RAISES


threading.Thread(target=long, daemon=True).start()
time.sleep(0.5)
user = threading.Thread(target=use, name="user")
user.start()
user.join()
