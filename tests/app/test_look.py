"""Which servers are looked at, and what is said when there is none."""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

import psycopg
import pytest

from pgusher.app.config import Config
from pgusher.app.look import Look, Looker, _fullness
from pgusher.app.request import Request
from pgusher.demo.server import EmbeddedServer
from pgusher.errors import UnreachableError, UsageError
from pgusher.model.server import Rung, View
from pgusher.model.values import replace
from tests.bed import Bed
from tests.bed.bed import APP
from tests.conftest import NewServer
from tests.diagnose.worlds import World

SERVER_SETTINGS = {"max_connections": 20}


class Silent:
    """A stand-in for a server that hangs: it has the name, the socket and the lock file of one, and never answers."""

    def __init__(self, path: str) -> None:
        script = (
            "import ctypes, os, socket, sys, time\n"
            "ctypes.CDLL(None).prctl(15, b'postgres', 0, 0, 0)\n"  # PR_SET_NAME
            "one = socket.socket(socket.AF_UNIX)\n"
            "one.bind(sys.argv[1])\n"
            "open(sys.argv[1] + '.lock', 'w').write(f'{os.getpid()}\\n')\n"
            "one.listen()\n"
            "print(flush=True)\n"
            "time.sleep(600)\n"
        )
        self._process = subprocess.Popen([sys.executable, "-c", script, path], stdout=subprocess.PIPE)

    def __enter__(self) -> None:
        assert self._process.stdout is not None
        self._process.stdout.readline()

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.communicate()


def look_once(request: Request) -> Look:
    """One look, after which the slot is given back."""
    looker = Looker(request)
    try:
        return looker.look()
    finally:
        looker.close()


def test_every_server_of_the_host_is_found_and_the_fullest_comes_first(
    bed: Bed, server: EmbeddedServer, new_server: NewServer
) -> None:
    other = new_server(max_connections=200)
    with bed.holder("idle", sessions=10):
        look = look_once(Request())
    ports = [snapshot.facts.server.port for snapshot in look.snapshots]
    assert {server.port, other.port} <= set(ports)
    assert ports.index(server.port) < ports.index(other.port)


def test_a_server_that_refuses_comes_first_also_where_its_ceilings_cannot_be_read() -> None:
    near = World("slots = 10\n[[unknown]]\nsessions = [{ count = 6 }]").snapshot()
    view = View(Rung.TITLES, refuses="remaining connection slots are reserved")
    full = replace(near, facts=replace(near.facts, ceilings=None, view=view, sessions=()))
    assert max([near, full], key=_fullness) is full


def test_the_port_chooses_among_those_found(server: EmbeddedServer) -> None:
    (snapshot,) = look_once(Request(port=server.port)).snapshots
    assert snapshot.facts.server.postmaster_pid == server.postmaster_pid


def test_a_port_that_nobody_listens_on_is_one_message() -> None:
    with pytest.raises(UnreachableError, match="no PostgreSQL server was found on port 1 of this host") as raised:
        look_once(Request(port=1))
    assert raised.value.hint


def test_a_server_that_does_not_answer_is_one_message_with_what_was_tried() -> None:
    with pytest.raises(UnreachableError, match="could not be reached") as raised:
        look_once(Request(dsn="host=127.0.0.1 port=1 password=hunter2"))
    assert raised.value.detail
    assert "hunter2" not in f"{raised.value}{raised.value.detail}{raised.value.hint}"


@pytest.mark.parametrize("words", [{"dsn": "host=h password=hunter2 nonsense=1"}, {"database": "postgresql://[::1"}])
def test_a_connection_string_that_cannot_be_read_is_wrong_usage(words: dict[str, str]) -> None:
    with pytest.raises(UsageError, match="the connection string cannot be read: ") as raised:
        look_once(Request(**words))  # type: ignore[arg-type]
    assert raised.value.hint
    assert raised.value.detail is None
    assert "hunter2" not in str(raised.value)


def test_one_that_stands_in_the_configuration_is_told_with_its_file() -> None:
    with pytest.raises(UsageError) as raised:
        look_once(Request(config=Config(path="/etc/pgusher/pgusher.toml", dsn="host=h nonsense=1")))
    assert raised.value.detail == "it stands in /etc/pgusher/pgusher.toml"


def test_servers_that_never_answer_share_the_time_of_one(server: EmbeddedServer, tmp_path: Path) -> None:
    """Anybody may run some; ten of them would keep the one that matters waiting for half a minute."""
    with ExitStack() as silent:
        for port in range(5980, 5984):
            silent.enter_context(Silent(str(tmp_path / f".s.PGSQL.{port}")))
        look = look_once(Request(timeout=3.0))
    seen = {one.facts.server.port: one.facts.view for one in look.snapshots}
    assert seen[server.port].rung is not Rung.NONE
    for port in range(5980, 5984):
        assert [attempt.outcome for attempt in seen[port].attempts] == ["no answer before the deadline"]
    assert look.elapsed_ms < 10_000  # each for itself would take 12 s, and more where several roles are tried


def test_a_refused_role_is_no_failure(bed: Bed, server: EmbeddedServer) -> None:
    with bed.role_limit(APP, 0):
        (snapshot,) = look_once(Request(dsn=server.dsn(APP, "app"))).snapshots
    assert snapshot.facts.view.rung in {Rung.RESERVED, Rung.TITLES, Rung.ORDINARY}
    assert next(attempt.sqlstate for attempt in snapshot.facts.view.attempts) == "53300"


def test_a_watch_survives_the_restart_of_its_server(new_server: NewServer) -> None:
    server = new_server()
    looker = Looker(Request(port=server.port))
    try:
        before = looker.look().snapshots[0].facts.server.postmaster_pid
        server.restart()
        seen = set()
        for _ in range(50):
            try:
                (snapshot,) = looker.look().snapshots
            except UnreachableError:
                continue
            seen.add(snapshot.facts.view.rung)
            if snapshot.facts.view.rung in {Rung.ORDINARY, Rung.HELD, Rung.RESERVED}:
                break
        assert seen & {Rung.ORDINARY, Rung.HELD, Rung.RESERVED}
        assert server.postmaster_pid != before
        (snapshot,) = looker.look().snapshots
        assert sum(session.own for session in snapshot.facts.sessions) == 1
    finally:
        looker.close()


def test_a_patient_watch_looks_at_sockets_again_when_a_session_came_or_went_or_its_time_is_over(
    server: EmbeddedServer,
) -> None:
    now = [100.0]
    looker = Looker(Request(port=server.port, patience=2.9), monotonic=lambda: now[0])
    try:
        first = looker.look().snapshots[0]
        now[0] += 1
        second = looker.look().snapshots[0]
        assert second.facts.sockets is first.facts.sockets
        assert second.facts.taken_at > first.facts.taken_at
        with psycopg.connect(server.dsn(), autocommit=True) as conn:
            now[0] += 1
            third = looker.look().snapshots[0]
            chain = next(chain for chain in third.chains if chain.pid == conn.info.backend_pid)
            assert os.getpid() in next(one.processes for one in third.holders if one.name == chain.holder)
            conn.execute("set application_name to 'another'")
            now[0] += 1
            fourth = looker.look().snapshots[0]
            # What the server says is asked for each time.
            assert "another" in {session.application_name for session in fourth.facts.sessions}
            assert fourth.facts.sockets is third.facts.sockets
            now[0] += 2
            assert looker.look().snapshots[0].facts.sockets is not third.facts.sockets
        last = fourth
        while chain.pid in {session.pid for session in last.facts.sessions}:  # the backend is about to end
            last = looker.look().snapshots[0]
        assert chain.pid not in {socket.backend_pid for socket in last.facts.sockets}
    finally:
        looker.close()


def test_without_patience_every_look_is_a_whole_one(server: EmbeddedServer) -> None:
    looker = Looker(Request(port=server.port), monotonic=lambda: 100.0)
    try:
        assert looker.look().snapshots[0].facts.sockets is not looker.look().snapshots[0].facts.sockets
    finally:
        looker.close()
