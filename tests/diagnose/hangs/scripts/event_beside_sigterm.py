"""An Event that nobody is left to set, in a script that ends itself properly at SIGTERM.

expect: event-never-set
thread: MainThread
"""

import signal
import sys
import threading

from base import session

signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
done = threading.Event()
conn = session()
conn.execute("select 1")


def work():
    raise ValueError("bad row")
    done.set()


threading.Thread(target=work).start()
done.wait()  # WAITS
