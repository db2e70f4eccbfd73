"""The sessions of a guarded run: counted, told when it is ended, and looked for after its end."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from pgusher.app.run_sessions import RunSessions
from pgusher.collect.sockets.held import held_sockets, ports_of
from pgusher.demo.server import EmbeddedServer
from pgusher.guard.history import History
from pgusher.model.address import Transport
from tests.guard.shapes import Bench, until

BUSY = """
import sys, psycopg
connection = psycopg.connect(sys.argv[1], autocommit=True)
print(connection.info.backend_pid, flush=True)
connection.execute("select pg_sleep(300)")
"""
HOLDS = """
import sys, time, psycopg
held = [psycopg.connect(dsn) for dsn in sys.argv[1:]]
held[0].execute("select 42")
print(1, flush=True)
time.sleep(300)
"""


LENDS = """
import sys, time, pgusher
with pgusher.Database(sys.argv[1]) as cursor:
    cursor.execute("select 42")
    print(cursor.connection.info.backend_pid, flush=True)
    time.sleep(300)
"""


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    bench = Bench(tmp_path)
    yield bench
    bench.close()


@pytest.fixture
def holder(server: EmbeddedServer) -> Iterator[int]:
    """A process with a session over TCP and two over the unix socket."""
    words = [sys.executable, "-c", HOLDS, server.dsn(), *[server.dsn(host=server.socket_dir)] * 2]
    process = subprocess.Popen(words, stdout=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stdout.readline() == b"1\n"
    yield process.pid
    process.kill()
    process.communicate()


def test_the_sockets_to_a_server_and_no_others(server: EmbeddedServer, holder: int) -> None:
    found = held_sockets([holder, 2**22 + 1], {server.port})
    assert sorted(one.transport for one in found) == [Transport.TCP, Transport.UNIX, Transport.UNIX]
    assert {one.server for one in found} == {
        f"127.0.0.1:{server.port}", f"{server.socket_dir}/.s.PGSQL.{server.port}",
    }  # fmt: skip
    (tcp,) = (one for one in found if one.client is not None)
    with psycopg.connect(server.dsn()) as connection:
        query = "select client_port from pg_stat_activity where client_port > 0 and backend_type = 'client backend'"
        assert connection.execute(query).fetchone() == (tcp.client[1],)  # type: ignore[index]
    assert held_sockets([holder], {1}) == [one for one in found if one.transport is Transport.UNIX]
    assert held_sockets([1], {server.port}) == []


@pytest.mark.parametrize(
    ("environ", "texts", "ports"),
    [
        ({}, (), set()),
        ({"PGPORT": "5433", "PATH": ":/bin"}, (None,), {5433}),
        ({"PGPORT": "no", "DATABASE_URL": "postgresql://u:p@h:6432/db"}, (), {6432}),
        ({"A": "postgres://h:99999/", "B": "postgres://h/db:1"}, (), set()),
        ({}, ("host=h port=5440 user=x",), {5440}),
        ({}, ("postgresql://h:5441",), {5441}),
    ],
)
def test_the_ports_that_an_environment_names(environ: dict[str, str], texts: tuple[str, ...], ports: set[int]) -> None:
    assert ports_of(environ, *texts) == ports


def test_counting_keeps_to_its_share(holder: int, server: EmbeddedServer) -> None:
    clock = [0.0]
    spent = iter([0.0, 0.01, 0.01, 0.02])
    counts = RunSessions({"PGPORT": str(server.port)}, cpu=lambda: next(spent), monotonic=lambda: clock[0])
    assert not counts.is_worth_a_look() or counts.peak is None
    assert counts.count([holder]) == 3
    clock[0] = 9.9
    assert counts.count([holder]) is None, "ten milliseconds are what it may take in ten seconds"
    clock[0] = 10.1
    assert counts.count([]) == 0
    assert counts.peak == 3


def test_what_the_sessions_of_a_process_do(holder: int, server: EmbeddedServer) -> None:
    sessions = RunSessions({}, server.dsn())
    lines = list(sessions.lines([holder]))
    assert len(lines) == 3
    assert all(line.startswith(f"pid {holder} holds session ") for line in lines)
    assert any("idle in transaction for " in line and "select " in line for line in lines)
    assert list(sessions.lines([1])) == []


def test_where_the_server_cannot_be_asked_the_sockets_are_told(holder: int, server: EmbeddedServer) -> None:
    sessions = RunSessions({"PGPORT": str(server.port)}, "host=127.0.0.1 port=1")
    (line,) = sessions.lines([holder])
    assert line.startswith(f"pid {holder} holds ")
    assert f"1 session of the server on 127.0.0.1:{server.port}" in line
    assert f"2 sessions of the server on {server.socket_dir}/.s.PGSQL.{server.port}" in line
    assert list(sessions.left("x", 0)) == [], "a server that cannot be reached has none that could be told"


def test_of_our_own_pools_the_borrowing_line_is_told(server: EmbeddedServer, tmp_path: Path) -> None:
    script = tmp_path / "lends.py"
    script.write_text(LENDS)
    process = subprocess.Popen([sys.executable, str(script), server.dsn()], stdout=subprocess.PIPE)
    assert process.stdout is not None
    try:
        backend = int(process.stdout.readline())
        asked = [line for line in RunSessions({}, server.dsn()).lines([process.pid]) if "lent" in line]
        environ = {"PGPORT": str(server.port)}
        unasked = [
            line for line in RunSessions(environ, "host=127.0.0.1 port=1").lines([process.pid]) if "lent" in line
        ]
    finally:
        process.kill()
        process.communicate()
    assert len(asked) == len(unasked) == 1
    assert asked[0].startswith(f"pid {process.pid} holds session {backend} of the server on ")
    assert f"{script}:3" in asked[0]
    assert unasked == [f"pid {process.pid} has lent session {backend} by thread MainThread at {script}:3"]


def test_a_session_that_is_left_is_told_and_the_exit_code_is_the_jobs(server: EmbeddedServer, bench: Bench) -> None:
    hosts = {"tcp": "127.0.0.1", "unix": server.socket_dir}
    options = ["--timeout", "2s", "--grace", "1s", "--dsn", server.dsn()]
    guards = {
        way: bench.start(way, [sys.executable, "-c", BUSY, server.dsn(host=host)], *options)
        for way, host in hosts.items()
    }
    pids = []
    try:
        for way, guard in guards.items():
            assert guard.stdout is not None
            pids.append(pid := int(guard.stdout.readline()))
            _, err = guard.communicate(timeout=60)
            said, place = err.decode(), f"127.0.0.1:{server.port}"
            assert guard.returncode == 124
            assert f"holds session {pid} of the server on {place}: active for " in said
            assert f"session {pid} of the run is still on the server on {place}: active" in said
            entry = History(f"{bench.state}/history").last()[way]
            assert (entry.peak_slots, entry.ending) == (1, "limit")
            assert any("is still on the server" in line for line in entry.evidence)
    finally:
        with psycopg.connect(server.dsn(), autocommit=True) as admin:
            admin.execute("select pg_terminate_backend(pid) from unnest(%s) as pid", [pids])
            query = "select count(*) from pg_stat_activity where pid = any(%s)"
            until(lambda: admin.execute(query, [pids]).fetchone() == (0,))


def test_a_run_that_leaves_none_says_nothing_of_it(server: EmbeddedServer, bench: Bench) -> None:
    text = f"import psycopg, time; c = psycopg.connect({server.dsn()!r}); c.execute('select 1')"
    code, _, err = bench.run("tidy", [sys.executable, "-c", text], "--dsn", server.dsn())
    assert (code, err) == (0, "")
