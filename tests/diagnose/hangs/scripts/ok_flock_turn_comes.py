"""An older run has the lock file, and goes on: it sleeps for a time.

expect: none
thread: -
"""

import fcntl
import subprocess
import sys
import tempfile

from base import session

OLDER = """
import fcntl, sys, time
file = open(sys.argv[1], "w")
fcntl.flock(file, fcntl.LOCK_EX)
print("locked", flush=True)
time.sleep(100000)
"""
conn = session()
with tempfile.NamedTemporaryFile() as file:
    older = subprocess.Popen([sys.executable, "-c", OLDER, file.name], stdout=subprocess.PIPE)
    older.stdout.readline()
    fcntl.flock(file, fcntl.LOCK_EX)  # WAITS
