"""Sessions carry their name and limit themselves, on each version of the server, with no statement of their own."""

from __future__ import annotations

import os
import socket
from typing import Any

import psycopg
import pytest

from pgusher.client.limits import Limits
from pgusher.demo.server import EmbeddedServer
from tests.client.pool.flavours import Flavour, run
from tests.conftest import NewServer

SERVER_SETTINGS = {"max_connections": 30}


async def shown(flavour: Flavour, pool: Any, *names: str) -> list[str]:
    async with pool.connection() as conn:
        query = "select " + ", ".join(f"current_setting('{name}')" for name in names)
        return list(await flavour.execute(conn, query))


def test_the_name_says_service_host_and_process(flavour: Flavour, server: EmbeddedServer) -> None:
    async def body() -> None:
        async with flavour.pool(server.dsn(), min_size=1, service="orders-api") as pool:
            host = socket.gethostname().partition(".")[0]
            assert await shown(flavour, pool, "application_name") == [f"orders-api {host} {os.getpid()}"]

    run(flavour, body)


def test_a_name_of_the_users_own_stays(
    flavour: Flavour, server: EmbeddedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def body() -> None:
        async with flavour.pool(server.dsn(application_name="mine"), min_size=1) as pool:
            assert await shown(flavour, pool, "application_name") == ["mine"]
        async with flavour.pool(server.dsn(), min_size=1, kwargs={"application_name": "mine too"}) as pool:
            assert await shown(flavour, pool, "application_name") == ["mine too"]
        monkeypatch.setenv("PGAPPNAME", "from outside")
        async with flavour.pool(server.dsn(), min_size=1) as pool:
            assert await shown(flavour, pool, "application_name") == ["from outside"]

    run(flavour, body)


@pytest.mark.parametrize("version", [13, 15, 16, 18])
def test_limits_by_version(flavour: Flavour, new_server: NewServer, version: int) -> None:
    server = new_server(version)

    async def body() -> None:
        async with flavour.pool(server.dsn(), min_size=2, limits=Limits.over(60)) as pool:
            await pool.wait()
            names = ["idle_in_transaction_session_timeout", "tcp_keepalives_idle"]
            assert await shown(flavour, pool, *names) == ["1h", "60"]
            if server.major >= 14:
                names = ["idle_session_timeout", "client_connection_check_interval"]
                assert await shown(flavour, pool, *names) == ["130s", "10s"]
                assert pool.get_stats()["connections_num"] == 2  # nothing was refused
            assert pool.get_stats()["pool_size"] == 2

    run(flavour, body)


def test_the_server_ends_a_session_that_keeps_its_transaction_open(flavour: Flavour, server: EmbeddedServer) -> None:
    async def body() -> None:
        async with flavour.pool(server.dsn(), min_size=1, limits=Limits(idle_in_transaction=0.2)) as pool:
            conn = await pool.getconn()
            await flavour.execute(conn, "select 1")
            await flavour.sleep(0.6)
            with pytest.raises(psycopg.Error, match="idle-in-transaction"):
                await flavour.execute(conn, "select 1")
            await pool.putconn(conn)
            async with pool.connection() as conn:
                assert await flavour.execute(conn, "select 1") == (1,)

    run(flavour, body)


def test_a_session_that_the_server_ended_for_idleness_is_replaced_unseen(
    flavour: Flavour, server: EmbeddedServer
) -> None:
    async def body() -> None:
        async with flavour.pool(server.dsn(), min_size=1, limits=Limits(idle_session=0.2)) as pool:
            await pool.wait()
            await flavour.sleep(0.6)
            async with pool.connection() as conn:
                assert await flavour.execute(conn, "select 1") == (1,)

    run(flavour, body)
