"""A standby waits for the advisory lock of its leader, which is well.

expect: none
thread: -
"""

import subprocess
import sys
import time

from base import session

conn = session()
conn.autocommit = True
if len(sys.argv) > 1:
    conn.execute("select pg_advisory_lock(78)")
    while True:
        time.sleep(600)
leader = subprocess.Popen([sys.executable, __file__, "leader"])
while conn.execute("select count(*) from pg_locks where locktype = 'advisory' and objid = 78").fetchone()[0] == 0:
    time.sleep(0.05)
conn.execute("select pg_advisory_lock(78)")  # WAITS
