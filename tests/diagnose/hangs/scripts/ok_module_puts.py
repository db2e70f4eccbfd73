"""Workers wait for what the main program puts every two minutes.

expect: none
thread: -
"""

import queue
import threading
import time

from base import session

items = queue.Queue()
conn = session()
conn.execute("select 1")


def work():
    while True:
        items.get()


threading.Thread(target=work, daemon=True).start()
while True:
    time.sleep(120)  # WAITS
    items.put(1)
