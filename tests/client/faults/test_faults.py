"""What happens to networks, servers, processes and clocks: no lost loan, no lost slot, and only documented errors.

PGUSHER_FAULTS=10 does ten times as much.
"""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

import psycopg
import pytest
from psycopg_pool import PoolTimeout

from pgusher import Budget, Database, PgusherError
from pgusher.demo.server import EmbeddedServer
from tests.bed.proxy import Proxy

MORE = int(os.environ.get("PGUSHER_FAULTS", "1"))
ROOT = Path(__file__).resolve().parents[3]


class Load:
    """Threads that make a short statement after another, and note what they were told."""

    def __init__(self, db: Database, threads: int = 4) -> None:
        self.db = db
        self.done = 0
        self.errors: list[BaseException] = []
        self._end = threading.Event()
        self._threads = [threading.Thread(target=self._run, daemon=True) for _ in range(threads)]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        self.progress()
        return self

    def __exit__(self, *unused: object) -> None:
        self._end.set()
        for thread in self._threads:
            thread.join(60)
            assert not thread.is_alive()

    def _run(self) -> None:
        while not self._end.is_set():
            try:
                assert self.db.fetch_one("select 1 as one", timeout=30) == {"one": 1}
                self.done += 1
            except BaseException as error:  # noqa: BLE001  # judged by the test
                self.errors.append(error)
            time.sleep(0.002)

    def progress(self, patience: float = 30.0) -> None:
        """Wait until every thread must have been served again."""
        wanted, deadline = self.done + 3 * len(self._threads), time.monotonic() + patience
        while self.done < wanted:
            assert time.monotonic() < deadline, f"no progress; {self.errors[-3:]}"
            time.sleep(0.005)


def sound(db: Database, most: int) -> None:
    """No loan is out, and no session is counted that is not there: all of them can be borrowed at once."""
    assert db.stats()["loans_out"] == 0
    taken = [db.pool.getconn(timeout=20) for _ in range(most)]
    deadline = time.monotonic() + 20
    while db.stats()["pool_size"] != most:  # a connect that nobody needs any more is counted until its turn comes
        assert time.monotonic() < deadline, db.stats()
        time.sleep(0.01)
    assert len({conn.info.backend_pid for conn in taken}) == most
    for conn in taken:
        db.pool.putconn(conn)


@pytest.fixture
def database() -> Iterator[Callable[..., Database]]:
    made: list[Database] = []

    def make(dsn: str, **options: Any) -> Database:
        made.append(Database(dsn, **options))
        return made[-1]

    yield make
    for db in made:
        db.close()


@pytest.fixture
def proxy(server: EmbeddedServer) -> Iterator[Proxy]:
    with Proxy((server.addresses[0], server.port)) as made:
        yield made


def through(server: EmbeddedServer, proxy: Proxy, **more: str | int) -> str:
    return psycopg.conninfo.make_conninfo(server.dsn("app", "app", proxy.host), port=proxy.port, **more)


@pytest.mark.parametrize("how", ["cut", "reset"])
def test_connections_that_end_are_replaced(server: EmbeddedServer, proxy: Proxy, database: Any, how: str) -> None:
    db = database(through(server, proxy, application_name=how), max_size=3)
    with Load(db) as load:
        for _ in range(5 * MORE):
            getattr(proxy, how)()
            load.progress()
    assert all(isinstance(error, psycopg.OperationalError) for error in load.errors), load.errors
    assert len(load.errors) <= 3 * 5 * MORE  # the sessions that were in use, at most
    sound(db, 3)


def test_a_silent_network_costs_callers_their_deadline_and_no_session(
    server: EmbeddedServer, proxy: Proxy, database: Any
) -> None:
    db = database(through(server, proxy, application_name="half-open"), max_size=2)
    held = threading.Event()

    def stuck() -> None:
        with db.cursor() as cur:
            held.set()
            cur.execute("select pg_sleep(0.2)")

    threads = [threading.Thread(target=stuck) for _ in range(2)]
    for thread in threads:
        thread.start()
    held.wait(20)
    deadline = time.monotonic() + 20
    while db.stats()["loans_out"] < 2 and time.monotonic() < deadline:
        time.sleep(0.01)
    proxy.half_open()
    with pytest.raises(PoolTimeout, match=r"in test_a_silent_network.*stuck"):
        db.fetch_one("select 1", timeout=0.5)
    proxy.wake()
    for thread in threads:
        thread.join(20)
        assert not thread.is_alive()
    sound(db, 2)


def test_a_server_that_never_answers_a_connect_is_given_up(server: EmbeddedServer, proxy: Proxy, database: Any) -> None:
    db = database(through(server, proxy, application_name="silent", connect_timeout=2), max_size=2)
    proxy.silent = True
    began = time.monotonic()
    with pytest.raises(PoolTimeout):
        db.fetch_one("select 1", timeout=0.5)
    assert time.monotonic() - began < 3
    proxy.silent = False
    assert db.fetch_one("select 1 as one", timeout=20) == {"one": 1}
    sound(db, 2)


def test_a_slow_network_is_slow_and_nothing_else(server: EmbeddedServer, proxy: Proxy, database: Any) -> None:
    proxy.slow = 0.01
    db = database(through(server, proxy, application_name="slow"), max_size=2)
    with Load(db) as load:
        load.progress()
    assert load.errors == []
    proxy.slow = 0.0
    sound(db, 2)


def test_restarts_under_load_cost_what_was_under_way_alone(new_server: Any, database: Any) -> None:
    server = new_server(18, max_connections=20)
    db = database(server.dsn("app", "app"), max_size=3)
    with Load(db) as load:
        for _ in range(2 * MORE):
            server.restart()
            load.progress(60)
    assert all(isinstance(error, psycopg.OperationalError) for error in load.errors), load.errors
    assert not any(isinstance(error, PoolTimeout) for error in load.errors), load.errors
    assert len(load.errors) <= 3 * 2 * MORE
    sound(db, 3)


def _hold(dsn: str, directory: Path) -> None:
    """In a child that is to be killed: borrow and give back, for ever."""
    db = Database(dsn, budget=Budget("kill", 3, directory=directory), max_size=3)
    while True:
        with db.cursor() as cur:
            cur.execute("select 1")


def _free(dsn: str, directory: Path) -> int:
    """In a fresh process: how many of the budget's slots it can have at once."""
    program = (
        "import sys, time\nfrom pgusher import Budget, Database\n"
        "db = Database(sys.argv[1], budget=Budget('kill', 3, directory=sys.argv[2]), max_size=3)\n"
        "print(len([db.pool.getconn(timeout=20) for _ in range(3)]), flush=True)\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
    argv = [sys.executable, "-c", program, dsn, str(directory)]
    done = subprocess.run(argv, env=environment, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    return int(done.stdout)


@pytest.mark.filterwarnings("ignore:This process.*is multi-threaded:DeprecationWarning")
def test_holders_that_are_killed_leave_their_slots(server: EmbeddedServer, tmp_path: Path) -> None:
    dsn = server.dsn("app", "app", application_name="killed")
    chance = random.Random(5)
    with psycopg.connect(server.dsn(), autocommit=True) as admin:

        def sessions() -> int:
            row = admin.execute("select count(*) from pg_stat_activity where application_name = 'killed'").fetchone()
            assert row is not None
            return int(row[0])

        for _ in range(40 * MORE):
            child = os.fork()
            if child == 0:
                try:
                    _hold(dsn, tmp_path)
                finally:
                    os._exit(1)
            time.sleep(chance.uniform(0.0, 0.06))
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
        assert _free(dsn, tmp_path) == 3
        deadline = time.monotonic() + 20
        while sessions():
            assert time.monotonic() < deadline, "sessions of killed processes are left"
            time.sleep(0.05)


def test_the_directory_of_a_budget_disappears(server: EmbeddedServer, database: Any, tmp_path: Path) -> None:
    directory = tmp_path / "budget"
    directory.mkdir(mode=0o700)
    db = database(
        server.dsn("app", "app", application_name="gone"), budget=Budget("gone", 3, directory=directory), max_size=3
    )
    with Load(db) as load:
        shutil.rmtree(directory)
        load.progress()
    assert all(isinstance(error, psycopg.OperationalError | PgusherError) for error in load.errors), load.errors
    sound(db, 3)


@contextmanager
def tiny(place: Path) -> Iterator[Path]:
    """A file system of 64 kB."""
    place.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k,mode=700", "tmpfs", str(place)], check=True)
    try:
        yield place
    finally:
        subprocess.run(["umount", "-l", str(place)], check=True)


def fill(place: Path) -> None:
    with pytest.raises(OSError, match="No space left"):
        (place / "stuff").write_bytes(bytes(1 << 20))


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount a small file system")
def test_a_full_file_system_is_told_and_ends_nobody(server: EmbeddedServer, database: Any, tmp_path: Path) -> None:
    with tiny(tmp_path / "tiny") as place:
        fill(place)
        with pytest.raises(PgusherError) as caught:
            Budget("full", 3, directory=place)
        assert "no space left" in str(caught.value)
        (place / "stuff").unlink()
        db = database(server.dsn("app", "app", application_name="tiny"), budget=Budget("full", 3, directory=place))
        with Load(db) as load:
            fill(place)
            load.progress()
        assert load.errors == []
        sound(db, 3)
        db.close()


CLOCK = """
import sys, time
from pgusher import Budget, Database
db = Database(sys.argv[1], budget=Budget("clock", 2, directory=sys.argv[2]), max_size=2, timeout=10)
began = time.time()
for step in ("+0", "+2d", "-3d", "+0"):
    with open(sys.argv[3], "w") as file:
        file.write(step)
    with db.cursor() as cur:
        cur.execute("select 1")
        assert db.stats()["loans_oldest_ms"] < 60000, db.stats()
    db.close()
    assert db.fetch_one("select 1 as one") == {"one": 1}
    print(round((time.time() - began) / 86400), db.stats()["loans_out"], flush=True)
"""


def _faketime() -> str | None:
    found = [str(path) for path in Path("/usr/lib").glob("*/faketime/libfaketime.so.1")]
    return found[0] if found else None


@pytest.mark.skipif(_faketime() is None, reason="libfaketime is not installed")
def test_clock_steps_are_not_noticed(server: EmbeddedServer, tmp_path: Path) -> None:
    step = tmp_path / "step"
    step.write_text("+0")
    environment = {
        **os.environ, "PYTHONPATH": str(ROOT / "src"), "LD_PRELOAD": str(_faketime()), "FAKETIME_NO_CACHE": "1",
        "FAKETIME_TIMESTAMP_FILE": str(step), "FAKETIME_DONT_FAKE_MONOTONIC": "1",
    }  # fmt: skip
    argv = [sys.executable, "-c", CLOCK, server.dsn("app", "app"), str(tmp_path), str(step)]
    done = subprocess.run(argv, env=environment, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    assert [line.split() for line in done.stdout.splitlines()] == [["0", "0"], ["2", "0"], ["-3", "0"], ["0", "0"]]
