"""A real PostgreSQL with many sessions, held by real processes that speak the protocol themselves and so cost little.

with held(sessions=1000, processes=500) as server: ...
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import struct
import sys
from collections.abc import Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "src"))

from pgusher.demo.server import EmbeddedServer


def login(address: str, port: int, user: str = "postgres", database: str = "postgres") -> socket.socket:
    """One session, ready for a query that never comes. The server trusts whoever connects."""
    connection = socket.create_connection((address, port))
    words = b"user\0%s\0database\0%s\0application_name\0bench\0\0" % (user.encode(), database.encode())
    body = struct.pack(">I", 3 << 16) + words
    connection.sendall(struct.pack(">I", len(body) + 4) + body)
    seen = b""
    while not seen.endswith(b"Z\0\0\0\x05I"):
        chunk = connection.recv(65536)
        if not chunk or b"FATAL" in chunk:
            raise OSError(f"no session: {chunk!r}")
        seen += chunk
    return connection


def _hold(server: EmbeddedServer, count: int, told: int) -> None:
    kept = [login(server.addresses[0], server.port) for _ in range(count)]
    os.write(told, b"." * len(kept))
    while True:
        signal.pause()


@contextlib.contextmanager
def held(sessions: int, processes: int, *, room: int = 20) -> Iterator[EmbeddedServer]:
    """A server with that many sessions in that many processes, and `room` free slots."""
    with EmbeddedServer(max_connections=sessions + room, autovacuum=False) as server:
        reader, writer = os.pipe()
        children = []
        try:
            for number in range(processes):
                share = sessions // processes + (number < sessions % processes)
                if (pid := os.fork()) == 0:
                    try:
                        os.close(reader)
                        signal.signal(signal.SIGTERM, signal.SIG_DFL)
                        _hold(server, share, writer)
                    finally:
                        os._exit(1)
                children.append(pid)
            os.close(writer)
            ready = 0
            while ready < sessions:
                got = os.read(reader, 65536)
                if not got:
                    raise RuntimeError(f"{ready} of {sessions} sessions came about")
                ready += len(got)
            yield server
        finally:
            for pid in children:
                os.kill(pid, signal.SIGKILL)
            for pid in children:
                os.waitpid(pid, 0)
            os.close(reader)
