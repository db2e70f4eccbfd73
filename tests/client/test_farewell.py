"""A slot is free when the server has let go of it, not when the client has."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Callable
from types import SimpleNamespace

import psycopg
import pytest

from pgusher.client.farewell import keep_socket, wait_until_gone, wait_until_gone_async
from pgusher.demo.server import EmbeddedServer

# max_wal_senders: the postmaster has room for twice the sum of both, and gives it back when it reaps a process, on
# a machine at its limits late (source: pmchild.c). That is no slot of the server, and not what is looked at here.
SERVER_SETTINGS = {"max_connections": 6, "superuser_reserved_connections": 0, "max_wal_senders": 200}

Wait = Callable[[int], bool]


def blocking(fd: int) -> bool:
    return wait_until_gone(fd, 60)


def in_loop(fd: int) -> bool:
    return asyncio.run(wait_until_gone_async(fd, 60))


@pytest.mark.parametrize("wait", [blocking, in_loop])
@pytest.mark.parametrize("unix", [False, True])
def test_who_waits_for_the_farewell_is_never_refused(server: EmbeddedServer, wait: Wait, unix: bool) -> None:
    dsn = server.dsn(host=server.socket_dir) if unix else server.dsn()
    held = [psycopg.connect(dsn) for _ in range(5)]
    for _ in range(100):
        conn = psycopg.connect(dsn)  # the last slot: it is refused if the one before is not gone yet
        fd = keep_socket(conn)
        conn.close()
        assert wait(fd)
    for each in held:
        fd = keep_socket(each)
        each.close()
        assert wait_until_gone(fd, 60)


@pytest.mark.parametrize("wait", [wait_until_gone, wait_until_gone_async])
def test_a_server_that_says_nothing_is_not_waited_for_long(wait: Callable[[int, float], object]) -> None:
    listener = socket.create_server(("127.0.0.1", 0))
    ours = socket.create_connection(listener.getsockname())
    theirs, _ = listener.accept()
    theirs.sendall(b"something to read is no end")
    fd = keep_socket(SimpleNamespace(pgconn=SimpleNamespace(socket=ours.fileno())))
    ours.close()
    told = wait(fd, 0.05)
    assert (asyncio.run(told) if asyncio.iscoroutine(told) else told) is False
    theirs.settimeout(10)
    assert theirs.recv(1) == b""  # it has been told
    theirs.close()
    listener.close()


def test_the_end_is_seen_the_moment_it_comes() -> None:
    ours, theirs = socket.socketpair()
    fd = keep_socket(SimpleNamespace(pgconn=SimpleNamespace(socket=ours.fileno())))
    ours.close()
    threading.Timer(0.05, theirs.close).start()
    assert wait_until_gone(fd, 60)


def test_a_connection_that_is_closed_has_nothing_to_wait_for(server: EmbeddedServer) -> None:
    conn = psycopg.connect(server.dsn())
    fd = keep_socket(conn)
    conn.close()
    assert wait_until_gone(fd, 60)
    assert keep_socket(conn) == -1
    assert wait_until_gone(-1)
    assert asyncio.run(wait_until_gone_async(-1))
