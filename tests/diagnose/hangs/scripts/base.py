"""What the scripts share: a session of the server whose connection string is in PGUSHER_DSN."""

import os
import socket


def session():
    """A session, or None where there is no server or no driver: most scripts hang without one, too."""
    dsn = os.environ.get("PGUSHER_DSN")
    if not dsn:
        return None
    import psycopg

    return psycopg.connect(dsn)


def new_pool(max_size, timeout):
    """A pool of up to `max_size` sessions."""
    from psycopg_pool import ConnectionPool

    return ConnectionPool(os.environ["PGUSHER_DSN"], min_size=1, max_size=max_size, timeout=timeout, open=True)


def table():
    """A session, and the name of a table of this process with two rows."""
    conn = session()
    name = f"rows_{os.getpid()}"
    conn.autocommit = True
    conn.execute(f"create table if not exists {name} (id int primary key, v int)")
    conn.execute(f"insert into {name} values (1, 0), (2, 0) on conflict do nothing")
    conn.autocommit = False
    return conn, name


_kept = []


def silent_server():
    """The address of a server that takes connections and never answers."""
    server = socket.create_server(("127.0.0.1", 0))
    _kept.append(server)
    return server.getsockname()


def keep_stdin_open():
    """As a launcher does that leaves a pipe open."""
    reader, writer = os.pipe()
    _kept.append(writer)
    os.dup2(reader, 0)
