"""Main joins a thread that waits in the server for a row that main has locked.

expect: deadlock-python-postgres
thread: writer
"""

import threading

from base import session, table

conn, name = table()
conn.execute(f"update {name} set v = 1 where id = 1")


def write():
    other = session()
    other.execute(f"update {name} set v = 2 where id = 1")  # WAITS


writer = threading.Thread(target=write, name="writer")
writer.start()
writer.join()
