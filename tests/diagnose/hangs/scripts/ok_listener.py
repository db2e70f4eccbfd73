"""A service that listens for notifications is at work.

expect: none
thread: -
"""

from base import session

conn = session()
conn.autocommit = True
conn.execute("listen orders")
for note in conn.notifies():  # WAITS
    print(note)
