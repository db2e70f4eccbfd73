"""libpq by ctypes: whichever there is, with a deadline on everything, from several threads."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from pgusher.collect.postgres import Target
from pgusher.collect.postgres import source as source_module
from pgusher.collect.postgres.connect import BrokenError, ConnectError, Connection, QueryError, open_connection
from pgusher.collect.postgres.libpq import SYSTEM, Libpq, LibpqMissingError, bundled, load
from pgusher.demo.server import EmbeddedServer
from pgusher.model.server import Rung
from tests.collect.postgres.common import found, look


def libraries() -> list[str]:
    """All that this machine has: of the wheel, and of the system."""
    paths = list(bundled())
    try:
        Libpq(SYSTEM)
    except OSError:
        return paths
    return [*paths, SYSTEM]


Open = Callable[..., Connection]


@pytest.fixture
def connect(server: EmbeddedServer) -> Iterator[Open]:
    opened: list[Connection] = []

    def start(library: Libpq | None = None, conninfo: str | None = None, seconds: float = 30.0) -> Connection:
        pairs = [("dbname", conninfo or server.dsn())]
        connection, error = open_connection(library or load(), pairs, time.monotonic() + seconds)
        opened.append(connection)
        if error is not None:
            raise error
        return connection

    yield start
    for connection in opened:
        connection.close()


def soon() -> float:
    return time.monotonic() + 30


@pytest.mark.parametrize("path", libraries())
class TestEachLibrary:
    def test_several_statements_in_one_round_trip(self, connect: Open, path: str) -> None:
        connection = connect(Libpq(path))
        sql = "copy (select 1, 'a') to stdout; select 2; set work_mem = '1MB'; copy (select null, E'\\t') to stdout"
        assert connection.run(sql, soon()) == [[b"1\ta"], [b"\\N\t\\t"]]
        assert connection.run("", soon()) == []
        assert connection.backend_pid > 0
        assert connection.server_version >= 130000

    def test_a_refusal_has_its_sqlstate(self, connect: Open, server: EmbeddedServer, path: str) -> None:
        with pytest.raises(ConnectError, match=r"\w+:  3D000: .*\n.*InitPostgres, postinit\.c:\d+"):
            connect(Libpq(path), server.dsn(dbname="nonsense"))

    def test_an_error_leaves_the_connection_usable(self, connect: Open, path: str) -> None:
        connection = connect(Libpq(path))
        with pytest.raises(QueryError) as caught:
            connection.run("copy (select 1) to stdout; copy (select 1/0) to stdout", soon())
        assert caught.value.sqlstate == "22012"
        assert connection.run("copy (select 3) to stdout", soon()) == [[b"3"]]

    def test_many_long_rows(self, connect: Open, path: str) -> None:
        rows = connect(Libpq(path)).run(
            "copy (select repeat('x', 1000) from generate_series(1, 5000)) to stdout", soon()
        )
        assert rows == [[b"x" * 1000] * 5000]

    def test_a_long_statement_is_written_whole(self, connect: Open, path: str) -> None:
        text = "é" * 3_000_000
        ((row,),) = connect(Libpq(path)).run(f"copy (select length('{text}')) to stdout", soon())
        assert row == b"3000000"

    def test_what_a_connection_string_says(self, path: str) -> None:
        library = Libpq(path)
        words = library.parse("postgresql://bob:pw@h1:1,h2:2/db?application_name=x")
        assert (words["host"], words["port"], words["password"]) == ("h1,h2", "1,2", "pw")
        for broken in ("nonsense=1", "postgresql://x:y@/%zz", "host=a b", "="):
            with pytest.raises(ValueError, match=r"."):
                library.parse(broken)


class TestDeadlines:
    def test_a_statement(self, connect: Open) -> None:
        connection = connect()
        with pytest.raises(BrokenError, match="deadline"):
            connection.run("copy (select pg_sleep(100)) to stdout", time.monotonic() + 0.1)

    def test_a_server_that_accepts_and_says_nothing(self, connect: Open) -> None:
        with socket.create_server(("127.0.0.1", 0)) as silent:
            port = silent.getsockname()[1]
            with pytest.raises(ConnectError, match="deadline"):
                connect(conninfo=f"host=127.0.0.1 port={port}", seconds=0.1)

    def test_a_host_name_that_is_not_resolved(self) -> None:
        """libpq resolves names in the call that begins a connection; a stand-in for it takes longer than we wait."""
        go, finished = threading.Event(), threading.Event()

        class Slow:
            def start(self, _pairs: object) -> int:
                go.wait(30)
                return 7

            def PQfinish(self, handle: int) -> None:  # noqa: N802  # libpq's name
                assert handle == 7
                finished.set()

        with pytest.raises(ConnectError, match="not resolved"):
            open_connection(Slow(), [], 0.05, lambda: 0.0)  # type: ignore[arg-type]
        go.set()
        # What comes of it later is given back by the thread itself.
        assert finished.wait(30)

    def test_the_end_of_a_server_in_the_middle(self, connect: Open) -> None:
        connection = connect()
        other = connect()
        other.run(f"select pg_terminate_backend({connection.backend_pid})", soon())
        with pytest.raises(BrokenError):
            connection.run("copy (select pg_sleep(100)) to stdout", soon())
        with pytest.raises(BrokenError):
            connection.run("select 1", soon())
        connection.close()
        with pytest.raises(BrokenError, match="closed"):
            connection.run("select 1", soon())


def test_several_threads_with_several_connections(connect: Open) -> None:
    connections = [connect() for _ in range(6)]
    wrong: list[object] = []

    def work(number: int) -> None:
        for turn in range(50):
            sql = f"copy (select {number}, {turn} from generate_series(1, 50)) to stdout"
            if connections[number].run(sql, soon()) != [[f"{number}\t{turn}".encode()] * 50]:
                wrong.append((number, turn))

    threads = [threading.Thread(target=work, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert not wrong


class TestWhereItIsFound:
    def test_the_wheel_s_own_first(self) -> None:
        (path, *_) = [*bundled(), SYSTEM]
        assert load().path == path

    def test_none(self) -> None:
        with pytest.raises(LibpqMissingError, match="nonexistent"):
            load(("/nonexistent/libpq.so.5", "libnonexistent.so.1"))

    def test_another_library_and_no_library(self, tmp_path: os.PathLike[str]) -> None:
        fake = os.path.join(tmp_path, "libpq-0123.so")
        with open(fake, "w", encoding="ascii") as file:
            file.write("no library\n" * 100)
        with pytest.raises(LibpqMissingError, match=r"invalid ELF header.*not libpq"):
            load((fake, "libc.so.6"))

    def test_the_next_one_is_taken(self) -> None:
        assert load(("/nonexistent/libpq.so.5", *libraries())).path == libraries()[0]

    def test_directories_that_are_none_do_not_matter(self, tmp_path: os.PathLike[str]) -> None:
        there = os.path.join(tmp_path, "psycopg_binary.libs")
        os.mkdir(there)
        for name in ("libpq-1.so.5", "libcrypto-2.so"):
            open(os.path.join(there, name), "w", encoding="ascii").close()
        assert list(bundled(["/nonexistent", "", str(tmp_path), __file__])) == [os.path.join(there, "libpq-1.so.5")]

    def test_without_any_the_ladder_goes_on(self, server: EmbeddedServer, monkeypatch: pytest.MonkeyPatch) -> None:
        def none() -> Libpq:
            return load(("/nonexistent/libpq.so.5",))

        monkeypatch.setattr(source_module, "load", none)
        facts = look(Target(server=found(server)))
        assert facts.view.rung is Rung.TITLES
        (gap,) = [gap for gap in facts.gaps if "libpq" in gap.why]
        assert gap.opens == "pip install 'pgusher[binary]' or apt install libpq5"


def test_no_driver_and_nothing_slow_is_imported(server: EmbeddedServer) -> None:
    code = (
        "import sys; from pgusher.collect.postgres import PostgresSource, Target\n"
        f"s = PostgresSource(Target(conninfo={server.dsn()!r})); f = s.sample(); s.close()\n"
        "assert f.sessions, f\n"
        "print(*sys.modules)"
    )
    words = [sys.executable, "-c", code]
    loaded = subprocess.run(words, check=True, capture_output=True, text=True, env=os.environ | {"PYTHONPATH": "src"})
    slow = {"psycopg", "psycopg_binary", "asyncio", "subprocess", "importlib.metadata", "importlib.util", "ctypes.util"}
    assert not slow & set(loaded.stdout.split())


def test_the_statements_are_in_the_wheel() -> None:
    from pgusher.collect.postgres import queries

    directory = os.path.join(os.path.dirname(queries.__file__), "sql")
    names = {name.removesuffix(".sql") for name in os.listdir(directory)}
    sql, results = queries.sample(0, settings=True, blocking=True, guards="")
    assert names == {"self", "settings", "sessions", "locks", "limits", "pids", "traffic"}
    assert len(results) == sql.count(" to stdout") == 6
    sql += queries.second_look("")
    assert "--" not in sql
    # Every function and view by its full name: nobody's search_path can put another in its place.
    assert not re.findall(r"(?<![.\w])(?:pg_\w+|host|current_setting|date_part|array_to_string)\s*\(", sql)
    assert not re.findall(r"(?:from|join) (?!pg_catalog\.)\w", sql)
