"""A service that waits for notifications by a select() of its own, as the manual of psycopg2 shows.

expect: none
thread: -
"""

import select

from base import session

conn = session()
conn.autocommit = True
conn.execute("listen orders")
while True:
    select.select([conn], [], [])  # WAITS
    for note in conn.notifies(timeout=0):
        print(note)
