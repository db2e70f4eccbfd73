"""An older run, which hangs, has a session advisory lock.

expect: advisory-lock-held
thread: MainThread
"""

import subprocess
import sys
import time

from base import session

OLDER = """
import time
from base import session
conn = session()
conn.autocommit = True
conn.execute("select pg_advisory_lock(77)")
time.sleep(100000)
"""
older = subprocess.Popen([sys.executable, "-c", OLDER])
conn = session()
conn.autocommit = True
while conn.execute("select count(*) from pg_locks where locktype = 'advisory' and objid = 77").fetchone()[0] == 0:
    time.sleep(0.05)
conn.execute("select pg_advisory_lock(77)")  # WAITS
