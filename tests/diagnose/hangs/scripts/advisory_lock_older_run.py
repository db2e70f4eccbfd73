"""An older run, which hangs, has a session advisory lock.

expect: advisory-lock-held
thread: MainThread
"""

import subprocess
import sys
import threading
import time

from base import session

conn = session()
conn.autocommit = True
if len(sys.argv) > 1:
    conn.execute("select pg_advisory_lock(77)")
    threading.Event().wait()  # WAITS
older = subprocess.Popen([sys.executable, __file__, "older"])
while conn.execute("select count(*) from pg_locks where locktype = 'advisory' and objid = 77").fetchone()[0] == 0:
    time.sleep(0.05)
conn.execute("select pg_advisory_lock(77)")  # WAITS
