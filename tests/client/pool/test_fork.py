"""The child of a fork uses none of its parent's sessions, ends none of them, and opens its own."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import socket
import subprocess
import sys
from typing import Any

import psycopg
import pytest

import pgusher
from pgusher.client import sqlstate
from pgusher.demo.server import EmbeddedServer

SERVER_SETTINGS = {"max_connections": 30}


def in_child(work: Any) -> Any:
    """What `work` gives in a forked child, or how the child ended."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.close(reading)
            os.write(writing, json.dumps(work()).encode())
        finally:
            os._exit(0)
    os.close(writing)
    with os.fdopen(reading, "rb") as answers:
        answer = answers.read()
    os.waitpid(child, 0)
    return json.loads(answer)


def queries(pool: Any, which: int, count: int) -> dict[str, int]:
    """How many rows were another's, and how many queries failed."""
    wrong = errors = 0
    for number in range(count):
        try:
            with pool.connection() as conn:
                row = conn.execute("select %s, %s", (which, number)).fetchone()
                wrong += row != (which, number)
        except psycopg.Error:
            errors += 1
    return {"wrong": wrong, "errors": errors}


def test_two_children_and_their_parent_read_their_own_rows(server: EmbeddedServer) -> None:
    with pgusher.Pool(server.dsn(), min_size=2) as pool:
        pool.wait()
        reading, writing = os.pipe()
        children = []
        for which in (1, 2):
            child = os.fork()
            if child == 0:
                try:
                    os.write(writing, (json.dumps(queries(pool, which, 100)) + "\n").encode())
                finally:
                    os._exit(0)
            children.append(child)
        os.close(writing)
        mine = queries(pool, 0, 100)
        with os.fdopen(reading) as answers:
            told = [json.loads(line) for line in answers]
        for child in children:
            os.waitpid(child, 0)
        assert [mine, *told] == [{"wrong": 0, "errors": 0}] * 3


def test_the_parents_sessions_live_on(server: EmbeddedServer) -> None:
    with pgusher.Pool(server.dsn(), min_size=2) as pool:
        pool.wait()
        lent = pool.getconn()
        mine = {conn.pgconn.backend_pid for conn in (lent, *pool._pool)}

        def work() -> list[int]:
            with pool.connection() as conn:
                theirs = [conn.pgconn.backend_pid]
            pool.close()
            return theirs

        (theirs,) = in_child(work)
        assert theirs not in mine
        assert lent.execute("select 1").fetchone() == (1,)
        pool.putconn(lent)
        with pool.connection() as one, pool.connection() as other:
            assert {one.pgconn.backend_pid, other.pgconn.backend_pid} == mine
            assert other.execute("select 1").fetchone() == (1,)


def test_a_loan_across_the_fork_gives_an_error_not_a_row(server: EmbeddedServer) -> None:
    with pgusher.Pool(server.dsn(), min_size=1, max_size=1) as pool, pool.connection() as conn:

        def work() -> list[Any]:
            try:
                conn.execute("select 1").fetchone()
                answer = "a row"
            except psycopg.OperationalError:
                answer = "an error"
            pool.putconn(conn)  # which is no error
            with pool.connection(timeout=5) as own:
                return [answer, own.execute("select 7").fetchone()]

        assert in_child(work) == ["an error", [7]]
        assert conn.execute("select 8").fetchone() == (8,)


def test_a_pool_that_its_parent_opened_but_never_used(server: EmbeddedServer) -> None:
    with pgusher.Pool(server.dsn(), min_size=0, max_size=2) as pool:
        assert in_child(lambda: queries(pool, 3, 5)) == {"wrong": 0, "errors": 0}


def test_the_child_of_a_parent_with_busy_threads(server: EmbeddedServer) -> None:
    """Whatever lock another thread has at the fork: nobody releases it in the child."""
    import threading

    with pgusher.Pool(server.dsn(), min_size=2, max_size=4) as pool:
        over = threading.Event()

        def keep_busy() -> None:
            while not over.is_set():
                with pool.connection():
                    pass

        threads = [threading.Thread(target=keep_busy) for _ in range(3)]
        for thread in threads:
            thread.start()
        try:
            for _ in range(10):
                assert in_child(lambda: queries(pool, 1, 3)) == {"wrong": 0, "errors": 0}
        finally:
            over.set()
            for thread in threads:
                thread.join()


def test_a_pool_for_asyncio_opens_anew(server: EmbeddedServer) -> None:
    pool: Any = pgusher.AsyncPool(server.dsn(), min_size=1, max_size=1, open=False)

    async def use() -> list[int]:
        async with pool.connection(timeout=5) as conn:
            cursor = await conn.execute("select pg_backend_pid()")
            return list(await cursor.fetchone())

    async def parent() -> None:
        await pool.open()
        (mine,) = await use()

        def work() -> list[int]:
            # The child runs a loop of its own; that of its parent is left in the frames above.
            asyncio.events._set_running_loop(None)
            return asyncio.run(use())

        (theirs,) = in_child(work)
        assert theirs != mine
        assert await use() == [mine]
        await pool.close()

    asyncio.run(parent())


def test_multiprocessing(server: EmbeddedServer) -> None:
    program = f"""
import multiprocessing, pgusher
pool = pgusher.Pool({server.dsn()!r}, min_size=2, open=True)
pool.wait()
def work(number):
    with pool.connection() as conn:
        return conn.execute("select %s::int", (number,)).fetchone()[0] == number
if __name__ == "__main__":
    with multiprocessing.get_context("fork").Pool(3) as workers:
        print(all(workers.map(work, range(60))), work(7))
    pool.close()
"""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", program], capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.stdout, done.stderr) == ("True True\n", "")


@pytest.mark.parametrize("kind", ["idle", "lent"])
def test_the_child_holds_no_socket_of_its_parent(server: EmbeddedServer, kind: str) -> None:
    with pgusher.Pool(server.dsn(), min_size=1, max_size=1) as pool:
        pool.wait()
        conn = pool.getconn()
        fd = conn.pgconn.socket
        if kind == "idle":
            pool.putconn(conn)
            del conn

        def work() -> str:
            try:
                return os.readlink(f"/proc/self/fd/{fd}")
            except OSError:
                return "closed"

        assert in_child(work) in {os.devnull, "closed"}
        assert os.readlink(f"/proc/self/fd/{fd}").startswith("socket:")
        if kind == "lent":
            pool.putconn(conn)


def test_a_connect_that_is_under_way_is_the_parents(server: EmbeddedServer) -> None:
    """A listener that never answers keeps it under way."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        with pgusher.Pool(server.dsn(port=listener.getsockname()[1]), min_size=1, open=False) as pool:
            near, _ = listener.accept()
            port = near.getsockname()[1]

            def work() -> list[str]:
                found = []
                for fd in os.listdir("/proc/self/fd"):
                    with contextlib.suppress(OSError):
                        found.append(os.readlink(f"/proc/self/fd/{fd}"))
                return found

            ours = [pgconn for pgconn in sqlstate.UNDER_WAY.values() if pgconn.port == str(port).encode()]
            mine = {os.readlink(f"/proc/self/fd/{pgconn.socket}") for pgconn in ours}
            assert len(mine) == 1
            assert not mine & set(in_child(work))
            near.close()  # so that the connect fails, and the pool can be closed
            pool.close()
