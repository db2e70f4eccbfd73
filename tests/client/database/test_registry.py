"""One pool for a database, whoever asks and however many at the same time."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg
import pytest

from pgusher import AsyncDatabase, Budget, Database, DatabaseError, Pool
from pgusher.client import registry
from pgusher.demo.server import EmbeddedServer
from tests.bed.proxy import Proxy
from tests.client.database.conftest import Play


def test_fifty_threads_at_once_make_one_pool(dsn: str, play: Play, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[Any] = []

    class Counting(Pool[Any]):
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            made.append(self)
            super().__init__(*args, **kwargs)

    monkeypatch.setattr("pgusher.client.pool.Pool", Counting)
    start = threading.Barrier(50)
    answers: list[Any] = []

    def ask() -> None:
        start.wait(30)
        answers.append(Database(dsn).fetch_one("select 1 as one"))

    threads = [threading.Thread(target=ask) for _ in range(50)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert answers == [{"one": 1}] * 50
    assert len(made) == 1


def test_fifty_tasks_at_once_make_one_pool_and_each_loop_has_its_own(dsn: str, play: Play) -> None:
    async def body() -> Any:
        db = AsyncDatabase(dsn)
        rows = await asyncio.gather(*(AsyncDatabase(dsn).fetch_one("select 1 as one") for _ in range(50)))
        assert rows == [{"one": 1}] * 50
        assert await AsyncDatabase(dsn).pool() is await db.pool()
        return await db.pool()

    first = asyncio.run(body())
    entry = registry.entry(dsn, {})
    assert entry.pools() == [first]

    async def again() -> None:
        assert await AsyncDatabase(dsn).pool() is not first
        assert len(entry.pools()) == 1
        await AsyncDatabase(dsn).close()

    asyncio.run(again())


def test_the_same_server_told_in_another_way_is_the_same_database(server: Any, play: Play) -> None:
    words = server.dsn(user="app", dbname="app", application_name="two-ways")
    given = psycopg.conninfo.conninfo_to_dict(words)
    url = f"postgresql://app@{given['host']}:{given['port']}/app?application_name=two-ways"
    assert Database(words).pool is Database(url).pool


def test_options_meet_before_the_first_use_and_contradictions_are_told(dsn: str, play: Play) -> None:
    Database(dsn, max_size=3)
    Database(dsn, timeout=7)
    with pytest.raises(DatabaseError, match="two values of max_size in one process, 3 and 4"):
        Database(dsn, max_size=4)
    pool = Database(dsn, max_size=3).pool
    assert (pool.max_size, pool.timeout, pool.min_size) == (3, 7, 0)
    with pytest.raises(DatabaseError, match="two values of max_idle"):
        Database(dsn, max_idle=5)
    assert Database(dsn, max_idle=60).pool is pool


@pytest.mark.parametrize("sizes", [{"max_size": 0}, {"min_size": 3, "max_size": 2}, {"min_size": -1}])
def test_sizes_that_cannot_be_are_told_with_the_database(
    make: Any, dsn: str, play: Play, sizes: dict[str, int]
) -> None:
    async def body() -> None:
        db = make(dsn, **sizes)
        with pytest.raises(DatabaseError, match=r"app@.*: a pool of -?\d to \d+ sessions cannot be"):
            await db.fetch_one("select 1")

    play(body)


def test_a_budget_may_be_named_anew_each_time(dsn: str, play: Play, tmp_path: Any) -> None:
    for _ in range(2):
        with Database(dsn, budget=Budget("anew", 2, directory=tmp_path)) as cur:
            cur.execute("select 1")
    with pytest.raises(DatabaseError, match="two values of budget"):
        Database(dsn, budget=Budget("another", 2, directory=tmp_path))


def test_a_budget_is_kept_over_both_flavours(dsn: str, play: Play, tmp_path: Any) -> None:
    budget = Budget("both", 1, directory=tmp_path)
    with Database(dsn, budget=budget) as cur:
        cur.execute("select 1")

        async def body() -> None:
            with pytest.raises(psycopg.errors.Error, match="couldn't get a connection"):
                await AsyncDatabase(dsn, budget=budget).fetch_one("select 1", timeout=0.3)

        play(body)
    assert budget.held == 1


def test_a_child_of_a_fork_opens_its_own(dsn: str, play: Play, sessions: Callable[[], list[int]]) -> None:
    db = Database(dsn)
    ours = db.fetch_one("select pg_backend_pid() as pid")
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        code = 1
        try:
            theirs = Database(dsn).fetch_one("select pg_backend_pid() as pid")
            os.write(write, str(theirs["pid"] if theirs else 0).encode())
            Database(dsn).close()
            code = 0
        finally:
            os._exit(code)
    os.close(write)
    with open(read, encoding="ascii") as file:
        other = int(file.read())
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert ours is not None
    assert other not in {0, ours["pid"]}
    assert db.fetch_one("select pg_backend_pid() as pid") == ours
    assert sessions() == [ours["pid"]]


def test_a_block_that_is_left_in_another_thread(dsn: str, play: Play) -> None:
    db = Database(dsn)
    db.__enter__()
    thread = threading.Thread(target=db.__exit__, args=(None, None, None))
    thread.start()
    thread.join(20)
    assert db.stats()["loans_out"] == 0
    db.close()


def test_a_loop_ends_although_a_session_is_being_opened(server: EmbeddedServer) -> None:
    async def body(dsn: str) -> None:
        db = AsyncDatabase(dsn, max_size=2)
        pool = await db.pool()
        taken = await pool.getconn()
        proxy.delay = 5.0
        with pytest.raises(psycopg.Error):
            await pool.getconn(timeout=0.1)  # its connect goes on
        await pool.putconn(taken)

    with Proxy((server.addresses[0], server.port)) as proxy:
        dsn = psycopg.conninfo.make_conninfo(server.dsn(host=proxy.host), port=proxy.port)
        runner = threading.Thread(target=asyncio.run, args=(body(dsn),), daemon=True)
        runner.start()
        runner.join(20)
        assert not runner.is_alive(), "asyncio.run() waits for a task that was cancelled"


def test_a_script_ends_whatever_its_helper_threads_do_at_that_moment(dsn: str) -> None:
    program = (
        "import sys, threading, time\nfrom pgusher import Database, Pool\n"
        "kept = Database(sys.argv[1]).pool\nloan = kept.connection\n"
        "with loan() as conn:\n    conn.execute('select 1')\n"
        "stopped = lambda: (kept._post._lock.acquire(), time.sleep(60))\n"
        "threading.Thread(target=stopped, daemon=True).start()\ntime.sleep(0.2)\n"
        "try:\n    Pool(sys.argv[1], min_size=3, max_size=1)\nexcept ValueError:\n    pass\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(Path(registry.__file__).parents[2])}
    done = subprocess.run(
        [sys.executable, "-c", program, dsn], env=environment, capture_output=True, text=True, check=False, timeout=30
    )
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize(
    ("option", "value", "told"),
    [
        ("budget", "web", r'budget: expected a Budget: budget=Budget\("web", 40\), not str'),
        ("limits", 3, "limits: expected Limits of pgusher.client.limits, not int"),
        ("timeout", "5", "timeout: expected seconds, not str"),
        ("max_size", "10", "max_size: expected a whole number, not str"),
        ("max_size", True, "max_size: expected a whole number, not bool"),
    ],
)
def test_an_option_of_another_kind_is_told_where_it_is_given(option: str, value: Any, told: str) -> None:
    with pytest.raises(DatabaseError, match=told):
        Database("host=of-another-kind", **{option: value})
    Database("host=of-another-kind", max_size=2, timeout=5, limits=None)


def test_no_name_at_all_is_told_as_that() -> None:
    with pytest.raises(DatabaseError, match="expected, not NoneType"):
        Database(None)  # type: ignore[arg-type]


def test_a_thread_without_a_loop_is_told_the_figures_too(dsn: str) -> None:
    db = AsyncDatabase(dsn)
    assert db.stats() == {}

    async def body() -> None:
        await db.fetch_one("select 1")
        assert await asyncio.to_thread(db.stats) == db.stats()
        assert "pgusher" in await asyncio.to_thread(db.metrics)
        await db.close()

    asyncio.run(body())
