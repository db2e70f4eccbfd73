"""wait() for a child that reads a standard input which is never closed.

expect: child-waits-for-input
thread: MainThread
"""

import subprocess

from base import session

conn = session()
child = subprocess.Popen(["cat"], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL)
child.wait()  # WAITS
