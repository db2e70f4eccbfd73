"""run() waits for the end of an output that a background process still has open.

expect: child-output-kept-open
thread: MainThread
"""

import subprocess

from base import session

conn = session()
subprocess.run("sleep 100000 & echo started", shell=True, capture_output=True)  # WAITS
