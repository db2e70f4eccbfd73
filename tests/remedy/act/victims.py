"""Victims: sessions of a test's server, and processes that behave badly; with their identities as a plan has them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Self

import psycopg

from pgusher.collect.boot import boot_id
from pgusher.collect.postgres.connect import Connection, open_connection
from pgusher.collect.postgres.libpq import load
from pgusher.model.findings import Safety
from pgusher.model.plan import Lever, Plan, ProcessIdentity, Reach, ServerIdentity, SessionIdentity, Slots, Step
from pgusher.remedy.act.pinned import Pinned, pin, read_stat
from pgusher.remedy.act.tree import read_table
from tests.bed.bed import Bed

SCRIPT = os.path.join(os.path.dirname(__file__), "bad.py")


@contextmanager
def connection(bed: Bed, user: str = "postgres") -> Iterator[Connection]:
    """A connection as pgusher has one."""
    found, failed = open_connection(load(), [("dbname", bed.server.dsn(user))], time.monotonic() + 30)
    try:
        assert failed is None, failed
        yield found
    finally:
        found.close()


def process_identity(pid: int) -> ProcessIdentity:
    stat = read_stat(pid)
    assert stat is not None
    return ProcessIdentity(pid, stat.start_ticks, boot_id())


def plan_of(bed: Bed | None, steps: Sequence[Step], name: str = "test") -> Plan:
    """A plan with these steps for the server of a bed."""
    server = ServerIdentity(5432)
    if bed is not None:
        row = bed.admin.execute("select (extract(epoch from pg_postmaster_start_time()) * 1000000)::bigint").fetchone()
        assert row is not None
        postmaster = process_identity(bed.server.postmaster_pid)
        server = ServerIdentity(bed.server.port, local=True, started=row[0], postmaster=postmaster)
    # As if made a while from now: what a test has just started is settled then.
    made_at = time.time_ns() // 1000 + 60_000_000
    return Plan(name, made_at, made_at + 1, os.getuid(), server, Reach(), Slots(1, 2, 3, 4), tuple(steps))


class Sessions:
    """Sessions of one role, with what they were when they were looked at."""

    def __init__(self, bed: Bed, connections: list[psycopg.Connection[Any]]) -> None:
        self.bed = bed
        self.connections = connections
        self._seen: dict[int, SessionIdentity] = {}
        self._errors: dict[int, BaseException] = {}
        for number in range(len(connections)):
            self.forget(number)

    def forget(self, number: int) -> None:
        """Look anew."""
        pid = self.connections[number].info.backend_pid
        row = self.bed.admin.execute(
            "select pid, (extract(epoch from backend_start) * 1000000)::bigint, state,"
            " (extract(epoch from state_change) * 1000000)::bigint, usename, datname"
            " from pg_stat_activity where pid = %s",
            (pid,),
        ).fetchone()
        stat = read_stat(pid)
        assert row is not None
        assert stat is not None
        pid, start, state, change, role, database = row
        self._seen[number] = SessionIdentity(pid, start, state, change, role, database, stat.start_ticks)

    def identity(self, number: int) -> SessionIdentity:
        return self._seen[number]

    def shifted(self, session: SessionIdentity) -> SessionIdentity:
        """The same with an earlier statement."""
        assert session.state_change is not None
        return SessionIdentity(
            session.pid, session.backend_start, session.state, session.state_change - 1, session.user, session.database
        )

    def step(self, index: int, lever: Lever, safety: Safety = Safety.SAFE, number: int | None = None) -> Step:
        session = self.identity(index)
        return Step(
            number or index + 1, lever, f"{lever} {session.pid}", safety, sessions=(session,), why="it is leaked"
        )

    def blind_step(self, index: int, number: int | None = None) -> Step:
        """As a plan that was made without SQL has it."""
        seen = self.identity(index)
        session = SessionIdentity(seen.pid, None, seen.state, None, seen.user, seen.database, seen.start_ticks)
        return Step(number or index + 1, Lever.END_BACKEND, "end", Safety.SAFE, sessions=(session,))

    @contextmanager
    def busy(self, number: int) -> Iterator[None]:
        """It runs a statement that lasts, and is looked at anew."""

        def run() -> None:
            try:
                self.connections[number].execute("select pg_sleep(600)")
            except psycopg.Error as error:
                self._errors[number] = error

        thread = threading.Thread(target=run)
        thread.start()
        try:
            while self.identity(number).state != "active":
                self.forget(number)
            yield
        finally:
            thread.join(60)
            assert not thread.is_alive()

    def error(self, number: int) -> BaseException | None:
        deadline = time.monotonic() + 30
        while number not in self._errors and time.monotonic() < deadline:
            time.sleep(0.002)
        return self._errors.get(number)

    def alive(self) -> list[bool]:
        """By the server, whether each is still there."""
        rows = self.bed.admin.execute("select pid from pg_stat_activity").fetchall()
        return [(session.pid,) in rows for session in self._seen.values()]


@contextmanager
def victim_sessions(bed: Bed, count: int, user: str = "app", dbname: str = "app") -> Iterator[Sessions]:
    """That many idle sessions, each after one statement."""
    made: list[psycopg.Connection[Any]] = []
    try:
        for _ in range(count):
            made.append(psycopg.connect(bed.server.dsn(user, dbname), autocommit=True))
            made[-1].execute("select 1")
        deadline = time.monotonic() + 30
        while bed.admin.execute(
            "select count(*) from pg_stat_activity where state = 'idle' and pid = any(%s)",
            ([one.info.backend_pid for one in made],),
        ).fetchone() != (count,):
            assert time.monotonic() < deadline
        yield Sessions(bed, made)
    finally:
        for one in made:
            one.close()


class Victims:
    """Processes of tests/remedy/act/bad.py; all of them end with the block."""

    def __init__(self) -> None:
        self._started: list[subprocess.Popen[str]] = []
        self.pids: set[int] = set()
        self._known: set[tuple[int, int]] = set()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for process in self._started:
            self._end_descendants()
            process.kill()
            process.wait()
            if process.stdout is not None:
                process.stdout.close()

    def _end_descendants(self) -> None:
        """Those that told their pids, and all in a session of one of them."""
        ours = {pid for pid, start in self._known if (stat := read_stat(pid)) is not None and stat.start_ticks == start}
        for stat in read_table().values():
            if stat.pid in ours or stat.session in self.pids:
                held = pin(stat.pid, start_ticks=stat.start_ticks)
                if isinstance(held, Pinned):
                    held.send(signal.SIGKILL)
                    held.close()

    def start(self, *words: str) -> subprocess.Popen[str]:
        """Start one and wait until it stands as it is to be; it leads a session of its own."""
        process = subprocess.Popen(
            [sys.executable, "-I", "-S", SCRIPT, *words], stdout=subprocess.PIPE, text=True, start_new_session=True
        )
        self._started.append(process)
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line.startswith("ready"), line
        self.pids = {int(word) for word in line.split()[1:]}
        self._known |= {stat.key for pid in self.pids if (stat := read_stat(pid)) is not None}
        return process

    def identity(self, process: subprocess.Popen[str]) -> ProcessIdentity:
        return process_identity(process.pid)
