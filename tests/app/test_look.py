"""Which servers are looked at, and what is said when there is none."""

from __future__ import annotations

import pytest

from pgusher.app.look import Look, Looker
from pgusher.app.request import Request
from pgusher.demo.server import EmbeddedServer
from pgusher.errors import UnreachableError
from pgusher.model.server import Rung
from tests.bed import Bed
from tests.bed.bed import APP
from tests.conftest import NewServer

SERVER_SETTINGS = {"max_connections": 20}


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
