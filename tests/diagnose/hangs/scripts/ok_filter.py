"""A filter reads what another process writes, seldom.

expect: none
thread: -
"""

import sys

from base import keep_stdin_open, session

keep_stdin_open()
conn = session()
conn.execute("select 1")
for line in sys.stdin:  # WAITS
    print(line)
