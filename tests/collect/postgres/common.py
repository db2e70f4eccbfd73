"""What the tests of this directory share."""

from __future__ import annotations

import importlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from pgusher.collect.discover import find_servers
from pgusher.collect.postgres import PostgresFacts, PostgresSource, Target
from pgusher.collect.postgres.identity import effective_uid
from pgusher.demo.server import EmbeddedServer
from pgusher.model.address import Transport
from pgusher.model.server import Server
from pgusher.model.session import Session

NOBODY = 65534


class Clock:
    """A clock of the tests' own: it stands still until it is moved."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@contextmanager
def source(target: Target | str, **more: Any) -> Iterator[PostgresSource]:
    """A source that gives its slot back, hears nothing from our own environment, and waits for a busy machine."""
    more.setdefault("timeout", 30.0)
    made = PostgresSource(Target(conninfo=target) if isinstance(target, str) else target, environ={}, **more)
    try:
        yield made
    finally:
        made.close()


def look(target: Target | str, **more: Any) -> PostgresFacts:
    """One sample."""
    with source(target, **more) as made:
        return made.sample()


def found(server: EmbeddedServer) -> Server:
    """The server as it is found on this host without being told."""
    (one,) = [one for one in find_servers()[0] if one.port == server.port]
    return one


def by_pid(facts: PostgresFacts) -> dict[int, Session]:
    """The sessions by their pids."""
    sessions = {session.pid: session for session in facts.sessions}
    assert len(sessions) == len(facts.sessions)
    return sessions


def assert_address(session: Session, row: dict[str, Any]) -> None:
    """The client's address is the one that the server shows to its superuser."""
    if row["client_host"] is None:
        assert session.client.transport is Transport.UNIX
    else:
        assert (session.client.host, session.client.port) == (row["client_host"], row["client_port"])


@contextmanager
def as_nobody() -> Iterator[None]:
    """This thread as an ordinary user of the host, if we are root."""
    if os.geteuid() == 0:
        # What is first imported in a look; nobody may not read an interpreter that lies in root's home.
        importlib.import_module("resource")
        with effective_uid(NOBODY):
            yield
    else:
        yield
