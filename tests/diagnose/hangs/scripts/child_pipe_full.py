"""wait() for a child whose output nobody reads.

expect: child-pipe-full
thread: MainThread
"""

import subprocess
import sys

from base import session

conn = session()
child = subprocess.Popen([sys.executable, "-c", "print('x' * 1_000_000)"], stdout=subprocess.PIPE)
child.wait()  # WAITS
