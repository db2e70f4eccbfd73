"""No slot is lost to a cancel, an interrupted call, a broken session that is closed, or the interpreter's end."""

from __future__ import annotations

import asyncio
import gc
import re
import sys
from contextlib import AsyncExitStack, suppress
from typing import Any

import psycopg
import pytest

import pgusher
from pgusher.client.crew import Post
from pgusher.client.lending import Lending
from pgusher.demo.server import EmbeddedServer
from tests.client.pool.flavours import Flavour, run
from tests.client.pool.test_exit import PATH, interpreters, python_runs
from tests.client.pool.test_fork import in_child


def test_a_cancel_while_a_loan_is_given_back_loses_nothing(server: EmbeddedServer) -> None:
    async def body() -> None:
        async with pgusher.AsyncPool(server.dsn(), min_size=1, max_size=1, open=False) as pool:
            await pool.wait()
            conn = await pool.getconn()
            await pool._lock.acquire()  # as any other task may have it
            task = asyncio.create_task(pool.putconn(conn))
            await asyncio.sleep(0.05)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            pool._lock.release()
            async with pool.connection(timeout=20) as again:
                assert again is conn

    asyncio.run(body())


def test_a_connection_lost_between_idle_and_lent_frees_its_slot(flavour: Flavour, server: EmbeddedServer) -> None:
    async def body() -> None:
        async with flavour.pool(server.dsn(), min_size=2, max_size=2) as pool:
            await pool.wait()
            pool._pool.popleft()  # an exception strikes here
            pool._pool.popleft()
            gc.collect()
            async with pool.connection(timeout=20) as one, pool.connection(timeout=20) as other:
                assert await flavour.execute(one, "select 1") == await flavour.execute(other, "select 1")
            assert pool.get_stats()["slots_found"] == 2
            assert pool.get_stats()["pool_size"] == 2

    run(flavour, body)


def test_a_connect_that_was_counted_and_never_begun_frees_its_slot(flavour: Flavour, server: EmbeddedServer) -> None:
    async def body() -> None:
        async with flavour.pool(server.dsn(), min_size=0, max_size=1) as pool:
            pool._nconns += 1  # an exception strikes after these two
            pool._growing = True
            async with pool.connection(timeout=20) as conn:
                assert await flavour.execute(conn, "select 1") == (1,)
            assert pool.get_stats()["pool_size"] == 1

    run(flavour, body)


def test_what_takes_its_time_is_not_taken_for_lost(flavour: Flavour, server: EmbeddedServer) -> None:
    async def body() -> None:
        async def slow(_: Any) -> None:
            await flavour.sleep(2.0)

        async with flavour.pool(server.dsn(), min_size=0, max_size=1, configure=flavour.hook(slow)) as pool:
            async with pool.connection(timeout=20):
                assert pool.get_stats()["pool_size"] == 1
            assert pool.get_stats().get("slots_found", 0) == 0

    run(flavour, body)


def test_a_broken_session_comes_back_when_it_is_closed(flavour: Flavour, server: EmbeddedServer) -> None:
    async def body() -> None:
        async with flavour.pool(server.dsn(), min_size=0, max_size=1, close_returns=True) as pool:
            conn = await pool.getconn(timeout=20)
            with psycopg.connect(server.dsn(), autocommit=True) as admin:
                admin.execute("select pg_terminate_backend(%s)", (conn.pgconn.backend_pid,))
            with suppress(psycopg.Error):
                await flavour.execute(conn, "select 1")
            assert conn.closed
            await flavour.close(conn)
            await flavour.close(conn)  # which is no error, and no second return
            assert pool.get_stats()["loans_out"] == 0
            again = await pool.getconn(timeout=20)
            assert await flavour.execute(again, "select 1") == (1,)
            await flavour.close(again)  # a whole one, as psycopg has it
            assert pool.get_stats()["loans_out"] == 0

    run(flavour, body)


def test_the_child_of_a_fork_waits_for_sessions_of_its_own(server: EmbeddedServer) -> None:
    with pgusher.Pool(server.dsn(), min_size=2) as pool:
        pool.wait()

        def work() -> int:
            pool.wait(20)
            return len(pool._pool)

        assert in_child(work) == 2


@pytest.mark.parametrize("entered", ["transaction", "pipeline"])
def test_a_session_in_a_block_that_nobody_is_in_is_not_lent_again(
    server: EmbeddedServer, flavour: Flavour, entered: str
) -> None:
    async def body() -> None:
        async with flavour.pool(server.dsn(), min_size=1, max_size=1) as pool:
            conn = await pool.getconn()
            block = getattr(conn, entered)()
            if flavour.name == "sync":
                block.__enter__()
            else:
                await block.__aenter__()
            if entered == "transaction":  # what the driver's interrupted clean-up leaves
                conn.pgconn.exec_(b"rollback")
            await pool.putconn(conn)
            async with pool.connection(timeout=20) as other:
                assert other is not conn
                async with AsyncExitStack() as stack:
                    if flavour.name == "sync":
                        stack.enter_context(other.transaction())
                    else:
                        await stack.enter_async_context(other.transaction())
                    assert await flavour.execute(other, "select 1") == (1,)
            assert pool.get_stats()["pool_size"] == 1

    run(flavour, body)


def test_a_loan_whose_making_was_interrupted_ends_silently() -> None:
    Lending.__new__(Lending).__del__()


def test_a_helper_whose_start_was_interrupted_is_not_counted() -> None:
    import threading

    post = Post("p", 1)
    post._helpers.add(threading.Thread(target=print))
    done = threading.Event()
    post.put(done.set)
    assert done.wait(20)
    post.stop()


DESTRUCTOR = """
import sys; sys.path[:0] = {path!r}
import pgusher
pool = pgusher.Pool({dsn!r}, min_size=1, open=True)
pool.wait()
class Last:
    def __del__(self):
        try:
            pool.getconn(timeout=60)
        except Exception as error:
            print(error, flush=True)
last = Last()
"""


@pytest.mark.parametrize("python", interpreters())
def test_a_destructor_at_the_interpreters_end_is_told_at_once(server: EmbeddedServer, python: str) -> None:
    done = python_runs(python, DESTRUCTOR.format(path=PATH, dsn=server.dsn()))
    assert "lends no more: the interpreter is shutting down" in done.stdout
    assert (done.returncode, done.stderr) == (0, "")


FIRST_USE = """
import sys; sys.path[:0] = {path!r}
from pgusher import Database
class Last:
    db = Database({dsn!r})
    def __del__(self):
        try:
            self.db.fetch_one("select 1")
        except Exception as error:
            print(type(error).__name__, error, flush=True)
last = Last()
"""


@pytest.mark.parametrize("python", interpreters())
def test_so_is_one_that_would_be_the_first_to_use_a_database(server: EmbeddedServer, python: str) -> None:
    done = python_runs(python, FIRST_USE.format(path=PATH, dsn=server.dsn()))
    assert re.fullmatch("OperationalError database '.*': the interpreter is shutting down\n", done.stdout)
    assert (done.returncode, done.stderr) == (0, "")


CYCLE = """
import sys; sys.path[:0] = {path!r}
import pgusher
class Keeper: pass
keeper = Keeper(); keeper.me = keeper
keeper.pool = pgusher.Pool({dsn!r}, min_size=1, open=True)
keeper.pool.wait()
keeper.conn = keeper.pool.getconn()
keeper.loan = keeper.pool.connection()
sys.modules["kept"] = keeper
"""


def test_the_end_makes_no_noise(server: EmbeddedServer) -> None:
    done = python_runs(sys.executable, CYCLE.format(path=PATH, dsn=server.dsn()))
    assert (done.returncode, done.stderr) == (0, "")
