"""A thread or task that ends with a loan, and a loan that everybody forgot: back within a second, named."""

from __future__ import annotations

import asyncio
import gc
import signal
import threading
from collections.abc import Iterator
from typing import Any

import psycopg
import psycopg_pool
import pytest

import pgusher
from pgusher.demo.server import EmbeddedServer
from tests.client.pool.flavours import Flavour, run

SERVER_SETTINGS = {"max_connections": 30}


def sessions(server: EmbeddedServer) -> int:
    with psycopg.connect(server.dsn()) as conn:
        row = conn.execute(
            "select count(*) from pg_stat_activity where backend_type = 'client backend' and pid <> pg_backend_pid()"
        ).fetchone()
        assert row is not None
        return int(row[0])


@pytest.mark.parametrize("remembered", [True, False], ids=["remembered", "dropped"])
def test_who_ends_with_a_loan_loses_it(
    flavour: Flavour, server: EmbeddedServer, caplog: pytest.LogCaptureFixture, remembered: bool
) -> None:
    async def body() -> None:
        kept: list[Any] = []
        async with flavour.pool(server.dsn(), min_size=0, max_size=1) as pool:

            async def die() -> None:
                conn = await pool.getconn()
                await flavour.execute(conn, "select 1")  # a transaction is open
                if remembered:
                    kept.append(conn)
                raise ZeroDivisionError

            with pytest.raises(ZeroDivisionError):
                await flavour.gather(flavour.spawn(die, name="importer-3"))
            # The next caller has it, while it waits for nothing else.
            async with pool.connection(timeout=20) as conn:
                await flavour.execute(conn, "select 1")
            assert sessions(server) == 1
            measured = pool.get_stats()
            assert measured.get("loans_reclaimed", 0) + measured.get("loans_forgotten", 0) == 1
            assert measured["pool_size"] == 1
            if remembered:
                with pytest.raises(psycopg.OperationalError, match="closed"):
                    await flavour.execute(kept[0], "select 1")
        (told,) = [record.message for record in caplog.records if record.name == "pgusher.pool"]
        assert f"{flavour.unit} importer-3" in told
        assert f"borrowed at {__file__}:" in told
        assert " in test_who_ends_with_a_loan_loses_it" in told

    run(flavour, body)


def test_what_is_handed_to_a_function_that_runs_is_left_alone(
    flavour: Flavour, server: EmbeddedServer, caplog: pytest.LogCaptureFixture
) -> None:
    async def body() -> None:
        async with flavour.pool(server.dsn(), min_size=1) as pool:

            async def borrow() -> Any:
                return await pool.getconn()

            (conn,) = await flavour.gather(flavour.spawn(borrow, name="opener"))
            await flavour.until(lambda: [record for record in caplog.records if record.name == "pgusher.pool"])
            await flavour.sleep(1.2)  # two more looks
            assert await flavour.execute(conn, "select 1") == (1,)
            await pool.putconn(conn)
            (told,) = [record.message for record in caplog.records if record.name == "pgusher.pool"][:1]
            assert f"{flavour.unit} opener ended with a loan" in told
            assert "something else uses still" in told
            assert pool.get_stats().get("loans_reclaimed", 0) == 0

    run(flavour, body)


def test_the_second_half_of_a_generator_may_run_in_another_thread(server: EmbeddedServer) -> None:
    """So web frameworks run a dependency that yields: each half in whatever thread of theirs is free."""
    with pgusher.Pool(server.dsn(), min_size=1) as pool:

        def dependency() -> Iterator[Any]:
            conn = pool.getconn()
            try:
                yield conn.pgconn.backend_pid
            finally:
                assert conn.execute("select 1").fetchone() == (1,)
                pool.putconn(conn)

        halves = dependency()
        first = threading.Thread(target=next, args=(halves,))
        first.start()
        first.join()
        threading.Event().wait(1.3)
        assert next(halves, "over") == "over"
        assert pool.get_stats().get("loans_reclaimed", 0) == 0
        assert len(pool._pool) == 1


def test_adopt(flavour: Flavour, server: EmbeddedServer) -> None:
    async def body() -> None:
        async with flavour.pool(server.dsn(), min_size=1) as pool:
            box: list[Any] = []

            async def borrow() -> None:
                box.append(await pool.getconn())

            await flavour.gather(flavour.spawn(borrow))
            pool.adopt(box[0])
            await flavour.sleep(1.2)
            assert await flavour.execute(box[0], "select 1") == (1,)
            await pool.putconn(box[0])
            with pytest.raises(ValueError, match="doesn't come from any pool"):
                pool.adopt(box[0])

    run(flavour, body)


def test_a_forgotten_connection_frees_its_slot(
    flavour: Flavour, server: EmbeddedServer, caplog: pytest.LogCaptureFixture
) -> None:
    async def body() -> None:
        async with flavour.pool(server.dsn(), min_size=0, max_size=1) as pool:
            await pool.getconn()
            gc.collect()
            async with pool.connection(timeout=20) as conn:
                await flavour.execute(conn, "select 1")
            assert pool.get_stats()["loans_forgotten"] == 1
            assert pool.get_stats()["pool_size"] == 1
        assert "forgot a loan" in caplog.text
        assert f"borrowed at {__file__}:" in caplog.text

    run(flavour, body)


def test_a_forgotten_with_block_gives_its_connection_back(
    flavour: Flavour, server: EmbeddedServer, caplog: pytest.LogCaptureFixture
) -> None:
    async def body() -> None:
        async with flavour.pool(server.dsn(), min_size=0, max_size=1) as pool:
            loan = pool.connection()
            conn = await loan.__aenter__()
            await flavour.execute(conn, "select 1")
            backend = conn.pgconn.backend_pid
            del loan, conn
            gc.collect()
            async with pool.connection(timeout=20) as conn:
                assert conn.pgconn.backend_pid == backend
                assert conn.pgconn.transaction_status == psycopg.pq.TransactionStatus.IDLE
            assert pool.get_stats()["loans_forgotten"] == 1
        assert "forgot a loan" in caplog.text

    run(flavour, body)


def test_a_forgotten_generator_gives_its_connection_back(server: EmbeddedServer) -> None:
    with pgusher.Pool(server.dsn(), min_size=0, max_size=1) as pool:

        def rows() -> Iterator[Any]:
            with pool.connection() as conn:
                yield from conn.execute("select generate_series(1, 10)")

        assert next(rows()) == (1,)
        gc.collect()
        with pool.connection(timeout=20) as conn:
            conn.execute("select 1")


def test_a_cancelled_task_in_the_line_costs_nothing(server: EmbeddedServer) -> None:
    async def body() -> None:
        async with pgusher.AsyncPool(server.dsn(), min_size=2, open=False) as pool:
            await pool.wait()

            async def work() -> None:
                async with pool.connection():
                    await asyncio.sleep(60)

            tasks = [asyncio.create_task(work()) for _ in range(6)]
            while len(pool._waiting) < 4:  # noqa: ASYNC110 - psycopg_pool tells nobody
                await asyncio.sleep(0.01)
            for task in reversed(tasks):
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            assert (len(pool._pool), len(pool._waiting)) == (2, 0)
            async with pool.connection() as conn:
                await conn.execute("select 1")

    asyncio.run(body())


def test_sixty_threads_that_die_at_random_leave_nothing_behind(server: EmbeddedServer) -> None:
    with pgusher.Pool(server.dsn(), min_size=0, max_size=4, timeout=20) as pool:

        def work(number: int) -> None:
            conn = pool.getconn()
            conn.execute("select 1")
            if number % 5 == 0:
                return  # with the loan
            pool.putconn(conn)

        threads = [threading.Thread(target=work, args=(number,)) for number in range(60)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert not any(thread.is_alive() for thread in threads)
        held = [pool.getconn(timeout=20) for _ in range(4)]
        with pytest.raises(psycopg_pool.PoolTimeout):
            pool.getconn(timeout=0.05)
        for conn in held:
            pool.putconn(conn)
        measured = pool.get_stats()
        assert measured.get("loans_reclaimed", 0) + measured.get("loans_forgotten", 0) == 12


def test_who_leaves_the_line_by_ctrl_c_takes_no_connection_along(server: EmbeddedServer) -> None:
    with pgusher.Pool(server.dsn(), min_size=1) as pool:
        held = pool.getconn()
        before = signal.signal(signal.SIGALRM, signal.default_int_handler)
        signal.setitimer(signal.ITIMER_REAL, 0.1)
        try:
            with pytest.raises(KeyboardInterrupt):
                pool.getconn(timeout=30)
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0.0)
            signal.signal(signal.SIGALRM, before)
        assert not pool._waiting
        pool.putconn(held)
        with pool.connection(timeout=20) as conn:
            assert conn is held
