"""What psycopg_pool promises holds for these pools too: on both flavours, against a real server."""

from __future__ import annotations

import gc
import inspect
import logging
import threading
import time
import weakref
from collections import Counter
from contextlib import suppress
from typing import Any

import psycopg
import psycopg_pool
import pytest
from psycopg.pq import TransactionStatus

import pgusher
from pgusher.demo.server import EmbeddedServer
from tests.client.pool.flavours import Flavour, run
from tests.client.pool.proxy import Proxy

SERVER_SETTINGS = {"max_connections": 60}


def base(flavour: Flavour) -> Any:
    return psycopg_pool.AsyncConnectionPool if flavour.name == "async" else psycopg_pool.ConnectionPool


def connection_class(flavour: Flavour) -> Any:
    return psycopg.AsyncConnection if flavour.name == "async" else psycopg.Connection


def test_the_defaults_are_psycopg_pools(flavour: Flavour, server: EmbeddedServer) -> None:
    async def body() -> None:
        theirs = base(flavour)(server.dsn(), open=False)
        async with flavour.pool(server.dsn()) as ours:
            for name in ("min_size", "max_size", "timeout", "max_waiting", "max_lifetime", "max_idle", "num_workers"):
                assert getattr(ours, name) == getattr(theirs, name), name
            assert not ours.closed
        assert ours.closed

    run(flavour, body)


@pytest.mark.parametrize(("least", "most"), [(0, 0), (0, None), (-1, None), (4, 2)])
def test_sizes_that_make_no_sense_are_refused(flavour: Flavour, least: int, most: int | None) -> None:
    with pytest.raises(ValueError, match="size"):
        flavour.pool(min_size=least, max_size=most)


def test_a_connection_is_used_again(flavour: Flavour, server: EmbeddedServer) -> None:
    async def body() -> None:
        async with flavour.pool(server.dsn(), min_size=2) as pool:
            async with pool.connection() as one, pool.connection() as other:
                pids = {one.pgconn.backend_pid, other.pgconn.backend_pid}
            async with pool.connection() as conn:
                assert conn.pgconn.backend_pid in pids
                assert conn._pool is getattr(pool, "pool", pool)
            assert len(pids) == 2

    run(flavour, body)


def test_all_connections_are_used_in_turn(flavour: Flavour, server: EmbeddedServer) -> None:
    async def body() -> None:
        used: Counter[int] = Counter()
        async with flavour.pool(server.dsn(), min_size=4) as pool:
            await pool.wait()
            for _ in range(8):
                async with pool.connection() as conn:
                    used[conn.pgconn.backend_pid] += 1
        assert sorted(used.values()) == [2, 2, 2, 2]

    run(flavour, body)


def test_a_block_commits_and_an_exception_rolls_back(flavour: Flavour, server: EmbeddedServer) -> None:
    async def body() -> None:
        async with flavour.pool(server.dsn(), min_size=1) as pool:
            async with pool.connection() as conn:
                await flavour.execute(conn, f"create table kept_{flavour.name} ()")
            with suppress(ZeroDivisionError):
                async with pool.connection() as conn:
                    await flavour.execute(conn, f"create table lost_{flavour.name} ()")
                    _ = 1 / 0
            async with pool.connection() as conn:
                found = await flavour.execute(
                    conn, f"select to_regclass('kept_{flavour.name}'), to_regclass('lost_{flavour.name}')"
                )
                assert found == (f"kept_{flavour.name}", None)

    run(flavour, body)


def test_a_commit_within_a_transaction_block_is_still_refused(flavour: Flavour, server: EmbeddedServer) -> None:
    async def body() -> None:
        async with flavour.pool(server.dsn(), min_size=1, kwargs={"autocommit": True}) as pool:
            loan = pool.connection()
            conn = await loan.__aenter__()
            transaction = conn.transaction()
            if flavour.name == "async":
                await transaction.__aenter__()
            else:
                transaction.__enter__()
            with pytest.raises(psycopg.ProgrammingError, match="within a Transaction"):
                await loan.__aexit__(None, None, None)

    run(flavour, body)


def test_its_own_connection_class_and_arguments(flavour: Flavour, server: EmbeddedServer) -> None:
    own: Any = type("Own", (connection_class(flavour),), {})

    async def body() -> None:
        async with (
            flavour.pool(server.dsn(), min_size=1, connection_class=own, kwargs={"autocommit": True}) as pool,
            pool.connection() as conn,
        ):
            assert type(conn) is own
            assert conn.autocommit

    run(flavour, body)


def test_a_generic_connection_class(flavour: Flavour, server: EmbeddedServer) -> None:
    async def body() -> None:
        kind = connection_class(flavour)[dict[str, Any]]
        options = {"min_size": 1, "connection_class": kind, "kwargs": {"row_factory": psycopg.rows.dict_row}}
        async with flavour.pool(server.dsn(), **options) as pool, pool.connection() as conn:
            assert await flavour.execute(conn, "select 1 as x") == {"x": 1}

    run(flavour, body)


def test_conninfo_and_arguments_may_be_functions(flavour: Flavour, server: EmbeddedServer) -> None:
    asked: list[str] = []

    def conninfo() -> str:
        asked.append("conninfo")
        return server.dsn()

    def kwargs() -> dict[str, Any]:
        asked.append("kwargs")
        return {"autocommit": True}

    async def body() -> None:
        async with flavour.pool(conninfo, min_size=1, kwargs=kwargs) as pool, pool.connection() as conn:
            assert conn.autocommit
        assert asked == ["conninfo", "kwargs"]

    run(flavour, body)


def test_configure_is_called_once_for_each_connection(flavour: Flavour, server: EmbeddedServer) -> None:
    made = 0

    async def configure(conn: Any) -> None:
        nonlocal made
        made += 1
        if flavour.name == "async":
            await conn.set_autocommit(True)
        else:
            conn.autocommit = True

    async def body() -> None:
        async with flavour.pool(server.dsn(), min_size=1, configure=flavour.hook(configure)) as pool:
            for expected in (1, 1):
                async with pool.connection() as conn:
                    assert (made, conn.autocommit) == (expected, True)
            async with pool.connection() as conn:
                await flavour.close(conn)
            async with pool.connection():
                assert made == 2

    run(flavour, body)


@pytest.mark.parametrize("query", ["select 1", "wat"])
def test_a_configure_that_fails_is_told(
    flavour: Flavour, server: EmbeddedServer, caplog: pytest.LogCaptureFixture, query: str
) -> None:
    async def configure(conn: Any) -> None:
        await flavour.execute(conn, query)

    async def body() -> None:
        async with flavour.pool(server.dsn(), min_size=1, configure=flavour.hook(configure)) as pool:
            with pytest.raises(psycopg_pool.PoolTimeout):
                await pool.wait(timeout=0.5)

    run(flavour, body)
    assert ("INTRANS" if query == "select 1" else "wat") in caplog.records[0].message


def test_reset_is_called_at_each_return(flavour: Flavour, server: EmbeddedServer) -> None:
    resets = 0

    async def reset(conn: Any) -> None:
        nonlocal resets
        resets += 1
        if flavour.name == "async":
            await conn.set_autocommit(False)
        else:
            conn.autocommit = False

    async def body() -> None:
        async with flavour.pool(server.dsn(), min_size=1, reset=flavour.hook(reset)) as pool:
            for expected in (1, 2):
                async with pool.connection():
                    pass
                await pool.wait()
                assert resets == expected

    run(flavour, body)


def test_a_reset_that_fails_costs_the_connection(
    flavour: Flavour, server: EmbeddedServer, caplog: pytest.LogCaptureFixture
) -> None:
    async def reset(conn: Any) -> None:
        await flavour.execute(conn, "select 1")

    async def body() -> None:
        async with flavour.pool(server.dsn(), min_size=1, reset=flavour.hook(reset)) as pool:
            async with pool.connection() as conn:
                first = conn.pgconn.backend_pid
            async with pool.connection() as conn:
                assert conn.pgconn.backend_pid != first

    run(flavour, body)
    assert "INTRANS" in caplog.records[0].message


@pytest.mark.parametrize(("query", "status"), [("create table t_x ()", "INTRANS"), ("wat", "INERROR")])
def test_a_transaction_that_was_left_open_is_rolled_back(  # pytest's arguments
    flavour: Flavour, server: EmbeddedServer, caplog: pytest.LogCaptureFixture, query: str, status: str
) -> None:
    async def body() -> None:
        async with flavour.pool(server.dsn(), min_size=1) as pool:
            conn = await pool.getconn()
            backend = conn.pgconn.backend_pid
            try:
                await flavour.execute(conn, query)
            except psycopg.ProgrammingError:
                assert query == "wat"
            await pool.putconn(conn)
            async with pool.connection() as conn:
                assert conn.pgconn.backend_pid == backend
                assert conn.pgconn.transaction_status == TransactionStatus.IDLE
                assert await flavour.execute(conn, "select to_regclass('t_x')") == (None,)

    run(flavour, body)
    assert [status in record.message for record in caplog.records] == [True]


def test_a_connection_in_the_midst_of_a_query_is_closed(flavour: Flavour, server: EmbeddedServer) -> None:
    async def body() -> None:
        async with flavour.pool(server.dsn(), min_size=1) as pool:
            conn = await pool.getconn()
            backend = conn.pgconn.backend_pid
            conn.pgconn.exec_(b"copy (select * from generate_series(1, 10)) to stdout")
            await pool.putconn(conn)
            async with pool.connection() as conn:
                assert conn.pgconn.backend_pid != backend

    run(flavour, body)


def test_callers_are_served_in_line(flavour: Flavour, server: EmbeddedServer) -> None:
    async def body() -> None:
        served: list[int] = []
        async with flavour.pool(server.dsn(), min_size=1, max_size=1) as pool:
            await pool.wait()
            held = await pool.getconn()

            async def worker(number: int) -> None:
                async with pool.connection():
                    served.append(number)

            workers = []
            for number in range(4):
                workers.append(flavour.spawn(lambda number=number: worker(number)))  # type: ignore[misc]
                await flavour.until(lambda: len(pool._waiting) == len(workers))
            await pool.putconn(held)
            await flavour.gather(*workers)
        assert served == [0, 1, 2, 3]

    run(flavour, body)


def test_the_line_has_an_end(flavour: Flavour, server: EmbeddedServer) -> None:
    async def body() -> None:
        async with flavour.pool(server.dsn(), min_size=1, max_waiting=1) as pool:
            held = await pool.getconn()

            async def worker() -> None:
                async with pool.connection():
                    pass

            waiting = flavour.spawn(worker)
            await flavour.until(lambda: pool._waiting)
            with pytest.raises(psycopg_pool.TooManyRequests, match=pool.name):
                await pool.getconn()
            await pool.putconn(held)
            await flavour.gather(waiting)
            assert pool.get_stats()["requests_errors"] == 1

    run(flavour, body)


def test_who_gave_up_costs_no_connection(flavour: Flavour, server: EmbeddedServer) -> None:
    async def body() -> None:
        async with flavour.pool(server.dsn(), min_size=1) as pool:
            held = await pool.getconn()
            with pytest.raises(psycopg_pool.PoolTimeout):
                await pool.getconn(0.05)
            assert not pool._waiting
            await pool.putconn(held)
            assert len(pool._pool) == 1
            with pytest.raises(psycopg_pool.PoolTimeout):
                await pool.getconn(0.0)

    run(flavour, body)


def test_closing(flavour: Flavour, server: EmbeddedServer) -> None:
    async def body() -> None:
        pool = flavour.pool(server.dsn(), min_size=1)
        with pytest.raises(psycopg_pool.PoolClosed, match="is not open yet"):
            await pool.getconn()
        await pool.open()
        await pool.open()
        conn = await pool.getconn()

        async def wait_in_vain() -> None:
            with pytest.raises(psycopg_pool.PoolClosed, match="is closed"):
                await pool.getconn()

        waiting = flavour.spawn(wait_in_vain)
        await flavour.until(lambda: pool._waiting)
        await pool.close()
        await flavour.gather(waiting)
        assert not conn.closed
        await pool.putconn(conn)
        assert conn.closed
        with pytest.raises(psycopg_pool.PoolClosed, match="already closed"):
            await pool.getconn()
        with pytest.raises(psycopg_pool.PoolClosed, match="already closed"):
            await pool.wait()
        with pytest.raises(psycopg.OperationalError, match="cannot be reused"):
            await pool.open()
        assert (pool._sched_runner, pool._workers) == (None, [])

    run(flavour, body)


def test_a_connection_of_another_is_not_taken(flavour: Flavour, server: EmbeddedServer) -> None:
    async def body() -> None:
        async with flavour.pool(server.dsn(), min_size=1) as one, flavour.pool(server.dsn(), min_size=1) as other:
            conn = await one.getconn()
            with pytest.raises(ValueError, match=one.name):
                await other.putconn(conn)
            await one.putconn(conn)
            with pytest.raises(ValueError, match="doesn't come from any pool"):
                await one.putconn(conn)

    run(flavour, body)


def test_close_returns(flavour: Flavour, server: EmbeddedServer) -> None:
    async def body() -> None:
        async with flavour.pool(server.dsn(), min_size=1, close_returns=True) as pool:
            conn = await pool.getconn()
            await flavour.close(conn)
            assert not conn.closed
            assert len(pool._pool) == 1
            assert pool.get_stats()["loans_out"] == 0
        assert conn.closed

    run(flavour, body)


def test_resize_and_shrink(flavour: Flavour, server: EmbeddedServer) -> None:
    async def body() -> None:
        async with flavour.pool(server.dsn(), min_size=1, max_size=4, max_idle=0.1) as pool:
            await pool.resize(3, 4)
            await pool.wait()
            assert len(pool._pool) == pool._nconns == 3
            await pool.resize(1, 4)
            await flavour.until(lambda: pool._nconns == 1)
            assert len(pool._pool) == 1
            with pytest.raises(ValueError, match="size"):
                await pool.resize(2, 1)

    run(flavour, body)


def test_old_connections_are_replaced(flavour: Flavour, server: EmbeddedServer) -> None:
    async def body() -> None:
        async with flavour.pool(server.dsn(), min_size=1, max_lifetime=0.05) as pool:
            async with pool.connection() as conn:
                first = conn.pgconn.backend_pid
                await flavour.sleep(0.1)
            async with pool.connection() as conn:
                assert conn.pgconn.backend_pid != first

    run(flavour, body)


def test_drain_replaces_all(flavour: Flavour, server: EmbeddedServer) -> None:
    async def body() -> None:
        async with flavour.pool(server.dsn(), min_size=2) as pool:
            await pool.wait()
            held = await pool.getconn()
            pids = {conn.pgconn.backend_pid for conn in (held, *pool._pool)}
            await pool.drain()
            await pool.putconn(held)
            await flavour.until(lambda: len(pool._pool) == 2)
            assert not pids & {conn.pgconn.backend_pid for conn in pool._pool}

    run(flavour, body)


def test_check_replaces_what_is_broken(
    flavour: Flavour, server: EmbeddedServer, caplog: pytest.LogCaptureFixture
) -> None:
    async def body() -> None:
        async with flavour.pool(server.dsn(), min_size=3) as pool:
            await pool.wait()
            pids = {conn.pgconn.backend_pid for conn in pool._pool}
            broken = pool._pool[1]
            await flavour.close(broken)
            await pool.check()
            await pool.wait()
            assert len(pids & {conn.pgconn.backend_pid for conn in pool._pool}) == 2
            assert pool.get_stats()["connections_lost"] == 1

    run(flavour, body)
    assert ["BAD" in record.message for record in caplog.records] == [True]


def test_a_check_hook_keeps_broken_connections_from_callers(
    flavour: Flavour, server: EmbeddedServer, caplog: pytest.LogCaptureFixture
) -> None:
    async def body() -> None:
        hook = base(flavour).check_connection
        async with flavour.pool(server.dsn(), min_size=2, check=hook) as pool:
            await pool.wait()
            async with pool.connection() as conn:
                async with pool.connection() as other:
                    pid = other.pgconn.backend_pid
                await flavour.execute(conn, f"select pg_terminate_backend({pid}, 5000)")
            async with pool.connection() as one, pool.connection() as two:
                assert pid not in {one.pgconn.backend_pid, two.pgconn.backend_pid}
                await flavour.execute(two, "select 1")

    run(flavour, body)
    assert not caplog.records


def test_a_check_that_always_fails_ends_with_a_timeout(flavour: Flavour, server: EmbeddedServer) -> None:
    async def check(conn: Any) -> None:
        raise RuntimeError

    async def body() -> None:
        async with flavour.pool(server.dsn(), min_size=1, check=flavour.hook(check), timeout=0.3) as pool:
            with pytest.raises(psycopg_pool.PoolTimeout):
                await pool.getconn()
            await flavour.until(lambda: len(pool._pool) == 1)

    run(flavour, body)


def test_reconnect_failed_is_called(flavour: Flavour, proxy: Proxy, through: str) -> None:
    async def body() -> None:
        failed: list[Any] = []
        async with flavour.pool(through, min_size=2, reconnect_timeout=0.3, reconnect_failed=failed.append) as pool:
            await flavour.until(lambda: failed)
            assert failed[0] is getattr(pool, "pool", pool)
            await flavour.until(lambda: pool._nconns == 0)
            proxy.start()
            async with pool.connection(timeout=20.0) as conn:
                await flavour.execute(conn, "select 1")
            await pool.wait(20.0)
            assert len(pool._pool) == 2

    run(flavour, body)


def test_statistics(flavour: Flavour, server: EmbeddedServer) -> None:
    async def body() -> None:
        async with flavour.pool(server.dsn(), min_size=2, max_size=3) as pool:
            await pool.wait()
            async with pool.connection():
                measured = pool.get_stats()
            expected = {"pool_min": 2, "pool_max": 3, "pool_size": 2, "pool_available": 1, "requests_waiting": 0}
            assert {key: measured[key] for key in expected} == expected
            assert (measured["requests_num"], measured["connections_num"]) == (1, 2)
            assert pool.pop_stats()["requests_num"] == 1
            assert pool.get_stats().get("requests_num", 0) == 0

    run(flavour, body)


def test_a_pool_that_is_forgotten_goes_without_a_warning(flavour: Flavour, server: EmbeddedServer) -> None:
    if flavour.name == "async":
        pytest.skip("a pool for asyncio is kept by its tasks, as psycopg_pool's is")
    pool = pgusher.Pool(server.dsn(), min_size=2, open=True)
    pool.wait()
    with pool.connection():
        pass
    workers = [pool._sched_runner, *pool._workers]
    gone = weakref.ref(pool)
    del pool
    gc.collect()
    assert gone() is None
    deadline = time.monotonic() + 5
    while any(worker.is_alive() for worker in workers if worker) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not any(worker.is_alive() for worker in workers if worker)


def test_logging_in_full_locks_nothing(flavour: Flavour, server: EmbeddedServer) -> None:
    async def body() -> None:
        async with flavour.pool(server.dsn(), min_size=4) as pool:
            await pool.wait(timeout=5)
            async with pool.connection():
                pass

    logger = logging.getLogger("psycopg")
    logger.setLevel(logging.DEBUG)
    try:
        run(flavour, body)
    finally:
        logger.setLevel(logging.NOTSET)


def test_an_implicit_open_is_warned_of(flavour: Flavour, server: EmbeddedServer) -> None:
    async def body() -> None:
        if flavour.name == "sync":
            pool = pgusher.Pool(server.dsn(), min_size=1)
            with pytest.warns(DeprecationWarning, match="Pool"), pool.connection():
                pass
            pool.close()
        else:
            with pytest.warns(RuntimeWarning, match="AsyncPool"):
                other = pgusher.AsyncPool(server.dsn(), min_size=1, open=True)
            await other.close()

    run(flavour, body)


def test_connection_decorates_a_function(server: EmbeddedServer) -> None:
    with pgusher.Pool(server.dsn(), min_size=1) as pool:

        @pool.connection()
        def lent() -> int:
            return pool.get_stats()["loans_out"]

        assert (lent(), lent(), pool.get_stats()["loans_out"]) == (1, 1, 0)


def test_at_rest_there_is_one_thread_for_all_pools(server: EmbeddedServer) -> None:
    before = set(threading.enumerate())
    with pgusher.Pool(server.dsn(), min_size=3) as one, pgusher.Pool(server.dsn(), min_size=3) as other:
        one.wait()
        other.wait()
        deadline = time.monotonic() + 5
        while (more := {thread.name for thread in set(threading.enumerate()) - before}) - {"pgusher"}:
            assert time.monotonic() < deadline, more
            time.sleep(0.05)


OVERRIDDEN = {
    "_add_connection": ["self", "attempt", "growing"],
    "_check_connection": ["self", "conn"],
    "_close_connection": ["self", "conn"],
    "_connect": ["self", "timeout"],
    "_get_ready_connection": ["self", "timeout"],
    "_get_measures": ["self"],
    "_resolve_conninfo": ["self"],
    "_resolve_kwargs": ["self"],
    "_return_connection": ["self", "conn", "from_getconn"],
    "_shrink_pool": ["self"],
    # called, not overridden
    "_add_to_pool": ["self", "conn"],
    "_check_open_getconn": ["self"],
    "_check_pool_putconn": ["self", "conn"],
    "_getconn_with_check_loop": ["self", "deadline"],
    "_maybe_grow_pool": ["self"],
    "_open": ["self"],
    "_reset_connection": ["self", "conn"],
}
"""What we build on of psycopg_pool and is not public. A version without one of them must not go unseen."""


def test_what_we_build_on_is_there(flavour: Flavour) -> None:
    for name, parameters in OVERRIDDEN.items():
        assert list(inspect.signature(getattr(base(flavour), name)).parameters) == parameters, name
    assert issubclass(psycopg_pool.base.BasePool, object)
    only_threads = ("_start_workers", "_signal_stop_worker", "run_task", "schedule_task")
    assert all(hasattr(base(flavour), name) for name in only_threads)


def test_no_public_method_is_missing_or_takes_less(flavour: Flavour) -> None:
    theirs, ours = base(flavour), pgusher.AsyncPool if flavour.name == "async" else pgusher.Pool
    for name in dir(theirs):
        if name.startswith("_") or not callable(getattr(theirs, name)):
            continue
        wanted = inspect.signature(getattr(theirs, name)).parameters
        assert list(inspect.signature(getattr(ours, name)).parameters) == list(wanted), name
