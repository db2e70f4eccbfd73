"""What only looks like a server, as any user of the host can run it, gets no password and no end of our time."""

from __future__ import annotations

import os
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from itertools import count
from pathlib import Path

import pytest

from pgusher.collect.postgres import PostgresSource, Target, connect, ladder
from pgusher.collect.postgres.files import read_ceilings
from pgusher.collect.postgres.postmaster import Postmaster
from pgusher.demo.server import EmbeddedServer
from pgusher.model.server import Rung, Server
from tests.bed.bed import APP, Bed
from tests.collect.postgres.common import found, look

CLEARTEXT = struct.pack("!cII", b"R", 8, 3)
LET_IN = struct.pack("!cII", b"R", 8, 0) + struct.pack("!cIII", b"K", 12, 1, 1) + b"Z\0\0\0\5I"
COPY = struct.pack("!cIbhh", b"H", 9, 0, 1, 0)
ROW = struct.pack("!cI", b"d", 1004) + b"x" * 999 + b"\n"


@contextmanager
def fake(directory: Path, answer: Callable[[socket.socket, bytes], None]) -> Iterator[Server]:
    """A stand-in for a server, with an answer of its own to each startup packet."""
    path = str(directory / ".s.PGSQL.5999")
    ended = threading.Event()
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen(8)
        listener.settimeout(0.1)

        def serve() -> None:
            while not ended.is_set():
                try:
                    with listener.accept()[0] as one:
                        one.settimeout(5)
                        answer(one, one.recv(8192))
                except OSError:
                    continue

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        try:
            yield Server(port=5999, local=True, socket_paths=(path,), os_user="postgres", os_uid=os.geteuid())
        finally:
            ended.set()
            thread.join(10)


def test_a_password_is_not_told_to_whoever_looks_like_a_server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PGPASSWORD", "planted-secret")
    heard: list[tuple[bytes, bytes]] = []

    def answer(one: socket.socket, startup: bytes) -> None:
        one.sendall(CLEARTEXT)
        heard.append((startup, one.recv(8192)))

    with fake(tmp_path, answer) as server:
        source = PostgresSource(Target(server=server), timeout=2.0, environ={})
        source.sample()
        source.close()
    as_its_user = [said for startup, said in heard if b"user\0postgres\0" in startup]
    assert as_its_user
    assert not any(b"planted-secret" in said for said in as_its_user)


@pytest.mark.parametrize(("uid", "told"), [(4711, False), (None, False), (os.geteuid(), True), (26, True)])
def test_a_server_of_another_person_is_told_no_password(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, uid: int | None, told: bool
) -> None:
    monkeypatch.setenv("PGPASSWORD", "planted-secret")
    heard: list[bytes] = []

    def answer(one: socket.socket, _: bytes) -> None:
        one.sendall(CLEARTEXT)
        heard.append(one.recv(8192))

    with fake(tmp_path, answer) as server:
        # With a role it is not the server's own user that is tried.
        target = Target(server=replace(server, os_uid=uid), user="bob", allow_reserved=False)
        source = PostgresSource(target, timeout=2.0, environ={})
        source.sample()
        source.close()
    assert heard
    assert any(b"planted-secret" in said for said in heard) is told


def test_a_server_that_hangs_is_not_asked_again_at_once(tmp_path: Path) -> None:
    asked = count()

    def answer(_one: socket.socket, _startup: bytes) -> None:
        next(asked)
        threading.Event().wait(0.3)

    with fake(tmp_path, answer) as server:
        target = Target(server=server, user="bob", allow_reserved=False)
        source = PostgresSource(target, timeout=0.1, environ={})
        for _ in range(5):
            source.sample()
        source.close()
    assert next(asked) <= 2


def test_a_server_that_hangs_is_asked_once_in_a_look(tmp_path: Path) -> None:
    asked = count()

    def answer(_one: socket.socket, _startup: bytes) -> None:
        next(asked)
        threading.Event().wait(1.0)

    with fake(tmp_path, answer) as server:
        source = PostgresSource(Target(server=server), timeout=30.0, environ={})
        facts = source.sample(within=0.3)
        source.close()
    assert [attempt.outcome for attempt in facts.view.attempts] == [connect.NO_ANSWER]
    assert next(asked) == 1


def test_rows_without_end_are_left_at_a_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connect, "_MOST", 100_000)

    def answer(one: socket.socket, _: bytes) -> None:
        one.sendall(LET_IN)
        one.recv(65536)
        one.sendall(COPY)
        while True:
            one.sendall(ROW * 100)

    with fake(tmp_path, answer) as server:
        source = PostgresSource(Target(server=server), timeout=20.0, environ={})
        facts = source.sample()
        source.close()
    assert "as one answer" in facts.view.attempts[-1].outcome


def test_what_is_ready_after_the_deadline_is_not_read(tmp_path: Path) -> None:
    heard: list[bytes] = []
    clock = count(0.0, 1000.0)  # between any two looks at it every deadline passes
    with fake(tmp_path, lambda _, said: heard.append(said)) as server:
        source = PostgresSource(Target(server=server), timeout=3.0, clock=lambda: next(clock), environ={})
        facts = source.sample()
        source.close()
    assert facts.view.attempts[0].outcome == "no answer before the deadline"
    assert not any(heard)  # a socket that could be written to at once was not


def test_files_that_include_themselves_many_times_come_to_an_end(tmp_path: Path) -> None:
    """40**10 files would not be read in a life."""
    (tmp_path / "postgresql.conf").write_text("include 'postgresql.conf'\n" * 40)
    postmaster = Postmaster(1 << 30, 0, os.geteuid(), ("postgres", "-D", str(tmp_path)))
    ceilings, gaps = read_ceilings(postmaster, 0)
    assert ceilings is None
    assert any("files" in gap.why for gap in gaps)


def test_who_answers_in_the_place_of_the_server_that_was_found_is_not_taken_for_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As with a container on the host's network: its server and one of the host have sockets of one path.

    The server that was found is stood in for by this very process: alive, and not who listens there.
    """
    with EmbeddedServer(max_connections=10) as server:
        there = found(server)
        assert look(Target(server=there)).view.rung is Rung.ORDINARY
        # One that was restarted since it was found is no other.
        assert look(Target(server=replace(there, postmaster_pid=os.getpid()))).view.rung is Rung.ORDINARY
        monkeypatch.setattr(ladder, "alive", lambda _: there)
        view = look(Target(server=replace(there, postmaster_pid=os.getpid()))).view
    assert view.rung not in {Rung.ORDINARY, Rung.RESERVED}
    assert "another server answers at its socket's path" in [attempt.outcome for attempt in view.attempts]


def test_another_server_s_refusal_is_not_taken_for_its_own(bed: Bed, monkeypatch: pytest.MonkeyPatch) -> None:
    bed.fill(APP)
    there = found(bed.server)
    target = Target(server=there, user=APP, allow_reserved=False)
    full = look(target).view
    monkeypatch.setattr(ladder, "alive", lambda _: there)
    view = look(replace(target, server=replace(there, postmaster_pid=os.getpid()))).view
    assert full.refuses is not None
    assert view.refuses is None
    assert "another server refuses at its socket's path" in [attempt.outcome for attempt in view.attempts]
