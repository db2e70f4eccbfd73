"""A full server is waited for without a storm, a wrong password is not waited for, a restart costs nothing."""

from __future__ import annotations

import asyncio
import select
import time
from collections.abc import Iterator
from typing import Any

import psycopg
import psycopg_pool
import pytest

import pgusher
from pgusher.client import gate as gates
from pgusher.client.failures import ConnectFailed
from pgusher.demo.server import EmbeddedServer
from tests.bed import Bed
from tests.client.pool.flavours import Flavour, run
from tests.client.pool.proxy import Proxy
from tests.conftest import NewServer

SERVER_SETTINGS = {"max_connections": 20}


@pytest.fixture(autouse=True)
def _own_gates() -> Iterator[None]:
    """What one test learned of its server is not the next one's."""
    gates._own.clear()
    yield
    gates._own.clear()


def limit(server: EmbeddedServer, connections: int) -> None:
    """Make the server full for the role app, or not: at once, and without filling anything."""
    with psycopg.connect(server.dsn(), autocommit=True) as conn:
        conn.execute(f"alter role app connection limit {connections}")


@pytest.fixture
def full(server: EmbeddedServer) -> Iterator[EmbeddedServer]:
    limit(server, 0)
    yield server
    limit(server, -1)


def test_a_full_server_is_waited_for(flavour: Flavour, full: EmbeddedServer) -> None:
    async def body() -> None:
        async with flavour.pool(full.dsn(user="app"), min_size=0, max_size=3) as pool:
            taken: list[float] = []

            async def work() -> None:
                async with pool.connection(timeout=20) as conn:
                    taken.append(time.monotonic())
                    await flavour.execute(conn, "select 1")

            workers = [flavour.spawn(work) for _ in range(5)]
            await flavour.sleep(3.0)
            limit(full, -1)
            room = time.monotonic()
            await flavour.gather(*workers)
            refused = pool.get_stats()["connections_refused"]
            assert taken[0] - room < 0.5 + 2.0  # the rest is for a busy machine
            # From 10 ms, doubling, a few in the first second; then two a second, for all callers together.
            assert 5 <= refused <= 6 + 2 * 3 + 2

    run(flavour, body)


def test_a_timeout_at_a_full_server_says_so(flavour: Flavour, full: EmbeddedServer) -> None:
    async def body() -> None:
        async with flavour.pool(full.dsn(user="app"), min_size=0, max_size=1) as pool:
            with pytest.raises(psycopg_pool.PoolTimeout, match="too many connections for role") as caught:
                await pool.getconn(0.3)
            assert isinstance(caught.value.__cause__, psycopg.errors.TooManyConnections)
            assert caught.value.__cause__.sqlstate == "53300"
            refused = pool.get_stats()["connections_refused"]
            await flavour.sleep(0.6)
            # Nobody waits: nothing is tried.
            assert pool.get_stats()["connections_refused"] <= refused + 1
            assert pool.get_stats()["pool_size"] == 0

    run(flavour, body)


def test_two_pools_of_a_process_ask_in_turn(flavour: Flavour, full: EmbeddedServer) -> None:
    async def body() -> None:
        dsn = full.dsn(user="app")
        async with flavour.pool(dsn, min_size=0, max_size=1) as one, flavour.pool(dsn, min_size=0, max_size=1) as two:

            async def wait_in_vain(pool: Any) -> None:
                with pytest.raises(psycopg_pool.PoolTimeout):
                    await pool.getconn(3.0)

            await flavour.gather(*[flavour.spawn(lambda pool=pool: wait_in_vain(pool)) for pool in (one, two)])  # type: ignore[misc]
            refused = sum(pool.get_stats().get("connections_refused", 0) for pool in (one, two))
            assert refused <= 6 + 2 * 3 + 3

    run(flavour, body)


def test_a_really_full_server_lets_in_who_waited(flavour: Flavour, new_server: NewServer) -> None:
    server = new_server(max_connections=8)
    bed = Bed(server)
    try:
        _ = bed.admin
        others = [psycopg.connect(server.dsn(user="reports", dbname="reports")) for _ in range(8 - 3 - 1)]

        async def body() -> None:
            async with flavour.pool(server.dsn(user="app", dbname="app"), min_size=0, max_size=2) as pool:
                with pytest.raises(psycopg_pool.PoolTimeout, match="connection slots are reserved"):
                    await pool.getconn(0.3)

                async def work() -> Any:
                    async with pool.connection(timeout=10) as conn:
                        return await flavour.execute(conn, "select 1")

                waiting = flavour.spawn(work)
                await flavour.until(lambda: pool._waiting)
                others.pop().close()
                assert await flavour.gather(waiting) == [(1,)]

        run(flavour, body)
        for conn in others:
            conn.close()
    finally:
        bed.close()


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        ({"dbname": "nowhere"}, 'database "nowhere" does not exist'),
        ({"user": "slow", "password": "wrong"}, "password authentication failed"),
        ({"options": "-c no_such_setting=1"}, "unrecognized configuration parameter"),
        ({"host": "/nowhere/at/all", "port": "not a number"}, "cannot be read"),
    ],
)
def test_what_is_wrong_is_told_at_once(
    flavour: Flavour, server: EmbeddedServer, wrong: dict[str, str], reason: str
) -> None:
    async def body() -> None:
        async with flavour.pool(server.dsn(**wrong), min_size=0, max_size=2) as pool:
            for _ in range(3):  # the answer is kept for half a second
                began = time.monotonic()
                with pytest.raises(ConnectFailed, match=reason) as caught:
                    await pool.getconn(30)
                assert time.monotonic() - began < 5
                assert isinstance(caught.value, psycopg_pool.PoolTimeout)
                assert isinstance(caught.value.__cause__, psycopg.Error)
            assert pool.get_stats()["connections_num"] <= 2

    run(flavour, body)


def test_what_was_wrong_may_be_right_later(flavour: Flavour, server: EmbeddedServer) -> None:
    wrong = [True]

    def conninfo() -> str:
        return server.dsn(dbname="nowhere") if wrong[0] else server.dsn()

    async def body() -> None:
        async with flavour.pool(conninfo, min_size=1) as pool:
            with pytest.raises(psycopg_pool.PoolTimeout, match="nowhere"):
                await pool.wait(30)
        async with flavour.pool(conninfo, min_size=2, max_size=2) as pool:
            with pytest.raises(ConnectFailed):
                await pool.getconn(30)
            wrong[0] = False
            await flavour.sleep(0.6)
            async with pool.connection(timeout=5) as conn:
                await flavour.execute(conn, "select 1")
            await flavour.until(lambda: len(pool._pool) == 2)

    run(flavour, body)


def test_sessions_that_are_out_keep_callers_waiting(flavour: Flavour, server: EmbeddedServer) -> None:
    right = [True]

    def conninfo() -> str:
        return server.dsn() if right[0] else server.dsn(dbname="nowhere")

    async def body() -> None:
        async with flavour.pool(conninfo, min_size=1, max_size=2) as pool:
            await pool.wait()
            conn = await pool.getconn()
            right[0] = False

            async def work() -> Any:
                async with pool.connection(timeout=10) as other:
                    return await flavour.execute(other, "select 1")

            waiting = flavour.spawn(work)
            await flavour.until(lambda: pool.get_stats().get("connections_errors"))
            await pool.putconn(conn)
            assert await flavour.gather(waiting) == [(1,)]

    run(flavour, body)


def test_a_restart_under_idle_sessions_is_not_noticed(flavour: Flavour, new_server: NewServer) -> None:
    server = new_server(max_connections=20)

    async def body() -> None:
        async with flavour.pool(server.dsn(), min_size=4) as pool:
            await pool.wait()
            server.restart()
            for _ in range(4):
                async with pool.connection(timeout=10) as conn:
                    assert await flavour.execute(conn, "select 1") == (1,)
            measured = pool.get_stats()
            assert measured["connections_lost"] == 4
            assert measured["generations_dropped"] >= 1

    run(flavour, body)


def test_callers_wait_while_the_server_is_away(flavour: Flavour, proxy: Proxy, through: str) -> None:
    async def body() -> None:
        proxy.start()
        async with flavour.pool(through, min_size=2) as pool:
            await pool.wait()
            proxy.stop()
            # A kernel may bring the ends a moment later; a session that is lent before that breaks under its user.
            await flavour.until(lambda: all(select.select([conn], [], [], 0)[0] for conn in pool._pool))
            done: list[float] = []

            async def work() -> None:
                async with pool.connection(timeout=20) as conn:
                    await flavour.execute(conn, "select 1")
                    done.append(time.monotonic())

            workers = [flavour.spawn(work) for _ in range(6)]
            await flavour.sleep(1.5)
            assert not done
            proxy.start()
            back = time.monotonic()
            await flavour.gather(*workers)
            assert done[0] - back < 0.3 + 2.0  # the rest is for a busy machine

    run(flavour, body)


def test_a_session_that_the_server_ended_is_not_lent(flavour: Flavour, server: EmbeddedServer) -> None:
    async def body() -> None:
        async with flavour.pool(server.dsn(), min_size=3) as pool:
            await pool.wait()
            pids = [conn.pgconn.backend_pid for conn in pool._pool]
            with psycopg.connect(server.dsn(), autocommit=True) as admin:
                admin.execute("select pg_terminate_backend(%s, 5000)", (pids[0],))
            async with pool.connection() as conn:
                assert await flavour.execute(conn, "select pg_backend_pid()") == (pids[1],)
            # Only that one was ended, so only that one is gone.
            await flavour.until(lambda: len(pool._pool) == 3)
            assert {conn.pgconn.backend_pid for conn in pool._pool} >= set(pids[1:])

    run(flavour, body)


def test_a_notification_is_not_taken_for_an_end(flavour: Flavour, server: EmbeddedServer) -> None:
    async def body() -> None:
        async with flavour.pool(server.dsn(), min_size=1) as pool:
            async with pool.connection() as conn:
                await flavour.execute(conn, "listen news")
                pid = conn.pgconn.backend_pid
            with psycopg.connect(server.dsn(), autocommit=True) as other:
                other.execute("notify news")
            await flavour.sleep(0.2)
            async with pool.connection() as conn:
                assert await flavour.execute(conn, "select pg_backend_pid()") == (pid,)

    run(flavour, body)


def test_when_one_loan_is_cut_by_the_network_the_idle_ones_are_dropped(
    flavour: Flavour, server: EmbeddedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The kernel's "Connection timed out" is awaited in vain in a test: the words are put where libpq puts them."""

    async def body() -> None:
        async with flavour.pool(server.dsn(), min_size=3) as pool:
            await pool.wait()
            pids = {conn.pgconn.backend_pid for conn in pool._pool}
            conn = await pool.getconn()
            monkeypatch.setattr("pgusher.client.pool.cut_off", lambda _: True)
            monkeypatch.setattr("pgusher.client.async_pool.cut_off", lambda _: True)
            pid = conn.pgconn.backend_pid
            with psycopg.connect(server.dsn(), autocommit=True) as admin:
                admin.execute("select pg_terminate_backend(%s, 5000)", (pid,))
            with pytest.raises(psycopg.OperationalError):
                await flavour.execute(conn, "select 1")
            await pool.putconn(conn)
            async with pool.connection() as conn:
                assert conn.pgconn.backend_pid not in pids

    run(flavour, body)


def test_it_grows_one_at_a_time_and_only_for_those_who_wait(flavour: Flavour, server: EmbeddedServer) -> None:
    async def body() -> None:
        async with flavour.pool(server.dsn(), min_size=0, max_size=10) as pool:
            async with pool.connection():
                pass
            for _ in range(5):
                async with pool.connection():
                    assert pool._nconns == 1
            held = [await pool.getconn() for _ in range(3)]
            assert pool._nconns == 3
            for conn in held:
                await pool.putconn(conn)
            # One that is lost is not replaced for nobody.
            conn = await pool.getconn()
            await flavour.close(conn)
            await pool.putconn(conn)
            await flavour.sleep(0.1)
            assert pool._nconns == 2

    run(flavour, body)


def test_it_gives_all_back_when_asked_to(flavour: Flavour, server: EmbeddedServer) -> None:
    async def body() -> None:
        async with flavour.pool(server.dsn(), min_size=0, max_size=5, max_idle=0.2, give_all_back=True) as pool:
            held = [await pool.getconn() for _ in range(5)]
            for conn in held:
                await pool.putconn(conn)
            await flavour.until(lambda: pool._nconns == 0, within=30.0)

    run(flavour, body)


def test_the_deadline_of_a_caller_holds_whatever_the_server_does(full: EmbeddedServer) -> None:
    async def body() -> None:
        async with pgusher.AsyncPool(full.dsn(user="app"), min_size=0, max_size=1, open=False) as pool:
            began = time.monotonic()
            with pytest.raises(psycopg_pool.PoolTimeout):
                await asyncio.wait_for(pool.getconn(0.25), 5)
            assert time.monotonic() - began < 1.5

    asyncio.run(body())
