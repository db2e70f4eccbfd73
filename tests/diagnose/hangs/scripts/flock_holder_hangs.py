"""An older run, which hangs, has the lock file: it is the cause, the younger one waits for it.

expect: file-lock
thread: MainThread
"""

import fcntl
import subprocess
import sys
import tempfile
import threading

from base import session

conn = session()
conn.execute("select 1")
if len(sys.argv) > 1:
    mine = open(sys.argv[1], "w")
    fcntl.lockf(mine, fcntl.LOCK_EX)
    print("locked", flush=True)
    threading.Event().wait()  # WAITS
with tempfile.NamedTemporaryFile("w") as file:
    older = subprocess.Popen([sys.executable, __file__, file.name], stdout=subprocess.PIPE)
    older.stdout.readline()
    fcntl.lockf(file, fcntl.LOCK_EX)  # WAITS
