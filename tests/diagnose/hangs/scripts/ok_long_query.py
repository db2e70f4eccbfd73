"""A report that works for hours.

expect: none
thread: -
"""

from base import session

conn = session()
conn.execute("select pg_sleep(100000)")  # WAITS
