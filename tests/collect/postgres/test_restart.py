"""A server that is stopped and started again between two samples."""

from __future__ import annotations

from pgusher.model.server import Rung
from tests.bed.bed import MONITOR
from tests.collect.postgres.common import Clock, found, look, source
from tests.conftest import NewServer


def test_a_restarted_server_is_looked_at_again(new_server: NewServer, clock: Clock) -> None:
    server = new_server(18)
    with source(server.dsn(MONITOR), clock=clock) as postgres:
        first = postgres.sample()
        server.restart(max_connections=25)
        second = postgres.sample()
        assert second.view.rung is Rung.ORDINARY
        assert second.ceilings is not None
        assert second.ceilings.max_connections == 25
        assert second.server.postmaster_pid == server.postmaster_pid != first.server.postmaster_pid
        assert second.server.started != first.server.started

        there = found(server)
        server.halt()
        third = postgres.sample()
        assert third.view.rung is Rung.NONE
        assert "refused" in third.view.attempts[-1].outcome
        assert not third.sessions
        # Nor is a stranger taken for it that got its pid.
        from pgusher.collect.postgres import Target

        assert look(Target(server=there, sql=False)).view.rung is Rung.NONE
        server.start()
        assert postgres.sample().view.rung is Rung.ORDINARY


def test_nobody_there() -> None:
    for words in ("host=127.0.0.1 port=1", "host=/nonexistent", "host=name.invalid", "service=no_such_service"):
        facts = look(words)
        assert facts.view.rung is Rung.NONE
        (attempt,) = facts.view.attempts
        assert attempt.outcome
        assert (attempt.sqlstate, attempt.refused_by, facts.sessions, facts.ceilings) == (None, None, (), None)
