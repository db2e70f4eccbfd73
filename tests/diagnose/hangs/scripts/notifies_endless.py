"""A thread listens for what main, which has ended, should have sent.

expect: notifies-endless
thread: listener
"""

import threading

from base import session


def listen():
    conn = session()
    conn.autocommit = True
    conn.execute("listen job_done")
    for note in conn.notifies():  # WAITS
        if note.payload == "stop":
            break


threading.Thread(target=listen, name="listener").start()
raise ValueError("main failed")  # RAISES
