"""A child that works.

expect: none
thread: -
"""

import subprocess

from base import session

conn = session()
subprocess.run(["sleep", "100000"])  # WAITS
