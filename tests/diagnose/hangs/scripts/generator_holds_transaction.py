"""A suspended generator has rows locked; it is on no stack.

expect: deadlock-python-postgres
thread: writer
"""

import threading

from base import session, table


def rows():
    conn, name = table()
    for row in conn.execute(f"select id from {name} order by id for update"):
        yield name, row[0]


def write(name, row):
    conn = session()
    conn.execute(f"update {name} set v = 2 where id = {row}")  # WAITS


for name, row in rows():
    writer = threading.Thread(target=write, args=(name, row), name="writer")
    writer.start()
    writer.join()
