"""The proxy before a server does what it says."""

from __future__ import annotations

import time

import psycopg
import pytest

from pgusher.demo.server import EmbeddedServer
from tests.bed.proxy import Proxy


def dsn(server: EmbeddedServer, proxy: Proxy) -> str:
    return psycopg.conninfo.make_conninfo(server.dsn(host=proxy.host), port=proxy.port)


def target(server: EmbeddedServer) -> tuple[str, int]:
    return server.addresses[0], server.port


def test_it_forwards_counts_and_delays(server: EmbeddedServer) -> None:
    with Proxy(target(server), delay=0.1) as proxy:
        began = time.monotonic()
        with psycopg.connect(dsn(server, proxy)) as connection:
            assert time.monotonic() - began >= 0.1
            assert connection.execute("select repeat('x', 300000)").fetchone() == ("x" * 300000,)
            assert (proxy.accepted, proxy.connections) == (1, 1)


@pytest.mark.parametrize("how", ["cut", "reset"])
def test_it_ends_connections_and_forwards_new_ones(server: EmbeddedServer, how: str) -> None:
    with Proxy(target(server)) as proxy:
        connection = psycopg.connect(dsn(server, proxy))
        assert getattr(proxy, how)() == 1
        with pytest.raises(psycopg.OperationalError):
            connection.execute("select 1")
        connection.close()
        with psycopg.connect(dsn(server, proxy)) as again:
            assert again.execute("select 1").fetchone() == (1,)


def test_it_falls_silent_and_wakes(server: EmbeddedServer) -> None:
    with Proxy(target(server)) as proxy, psycopg.connect(dsn(server, proxy)) as connection:
        assert proxy.half_open() == 1
        connection.pgconn.send_query(b"select 1")
        time.sleep(0.05)
        connection.pgconn.consume_input()
        assert connection.pgconn.is_busy()
        assert proxy.wake() == 1
        deadline = time.monotonic() + 10
        while connection.pgconn.is_busy() and time.monotonic() < deadline:
            time.sleep(0.005)
            connection.pgconn.consume_input()
        assert not connection.pgconn.is_busy()
        while connection.pgconn.get_result() is not None:
            pass


def test_new_connections_are_refused_or_never_answered(server: EmbeddedServer) -> None:
    with Proxy(target(server)) as proxy:
        proxy.refuse = True
        with pytest.raises(psycopg.OperationalError):
            psycopg.connect(dsn(server, proxy))
        proxy.refuse, proxy.silent = False, True
        with pytest.raises(psycopg.errors.ConnectionTimeout):
            psycopg.connect(dsn(server, proxy), connect_timeout=2)
        assert proxy.accepted == 2


def test_a_server_that_is_down_is_a_closed_connection() -> None:
    with Proxy(("127.0.0.1", 1)) as proxy, pytest.raises(psycopg.OperationalError):
        psycopg.connect(f"host={proxy.host} port={proxy.port} user=x dbname=x")
