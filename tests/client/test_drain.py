"""A process gives back its idle sessions when it is asked to from outside, whatever its main thread waits for."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
import pytest

from pgusher.collect.boot import boot_id
from pgusher.demo.server import EmbeddedServer
from pgusher.model import loans
from pgusher.model.findings import Safety
from pgusher.model.plan import Lever, OutcomeKind, ProcessIdentity, Step
from pgusher.remedy.act.drains import drain
from pgusher.remedy.act.pinned import read_stat
from pgusher.remedy.act.result import Result
from tests.bed.holder import ROOT
from tests.bed.requirements import needs_root

SCRIPT = os.path.join(os.path.dirname(__file__), "drained.py")


@contextmanager
def program(server: EmbeddedServer, *words: str) -> Iterator[tuple[subprocess.Popen[str], int]]:
    """One that stands as it is to be, and the pid of its child or 0."""
    dsn = server.dsn("app", "app", application_name="drained")
    process = subprocess.Popen(
        [sys.executable, SCRIPT, dsn, *words],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": os.path.join(ROOT, "src")},
        start_new_session=True,
    )
    assert process.stdout is not None
    try:
        line = process.stdout.readline()
        assert line.startswith("ready"), line
        yield process, int(line.split()[1])
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        process.stdout.close()


def ask(pid: int, within: float = 20.0) -> Result:
    stat = read_stat(pid)
    assert stat is not None
    process = ProcessIdentity(pid, stat.start_ticks, boot_id())
    step = Step(1, Lever.DRAIN, "drain", Safety.SAFE, process=process)
    ((_, result),) = drain([step], "/proc", time.monotonic, time.sleep, within)
    return result


@pytest.fixture(scope="module")
def admin(server: EmbeddedServer) -> Iterator[psycopg.Connection[Any]]:
    with psycopg.connect(server.dsn(), autocommit=True) as connection:
        yield connection


def sessions(admin: psycopg.Connection[Any], wanted: int) -> int:
    """How many it has, as soon as it is what is wanted: a session ends a moment after it was closed."""
    deadline = time.monotonic() + 30
    while True:
        row = admin.execute("select count(*) from pg_stat_activity where application_name = 'drained'").fetchone()
        assert row is not None
        if row[0] == wanted or time.monotonic() > deadline:
            return int(row[0])
        time.sleep(0.002)


def test_a_process_whose_main_thread_hangs_gives_back_what_is_idle(
    server: EmbeddedServer, admin: psycopg.Connection[Any]
) -> None:
    with program(server, "lent", "idle", "async", "fork") as (process, child):
        assert sessions(admin, 9) == 9
        result = ask(process.pid)
        assert result.kind is OutcomeKind.DONE, result
        assert result.text.startswith(f"process {process.pid} gave back 7 idle connections; 2 on loan: "), result.text
        assert "drained.py:" in result.text
        assert sessions(admin, 2) == 2
        # Asked again, it has nothing more to give; its loans stay.
        assert ask(process.pid).text.startswith(f"process {process.pid} gave back 0 idle connections; 2 on loan")
        # Its child has a ledger of its own, and nothing of its parent's to give.
        assert ask(child).text == f"process {child} gave back 0 idle connections"
        assert sessions(admin, 2) == 2
    assert sessions(admin, 0) == 0


def test_what_min_size_keeps_is_told(server: EmbeddedServer, admin: psycopg.Connection[Any]) -> None:
    with program(server, "min") as (process, _):
        result = ask(process.pid)
        assert result.text == f"process {process.pid} gave back 3 idle connections; 2 kept as its min_size"
        assert sessions(admin, 2) == 2


def test_an_event_loop_that_is_held_up_is_told(server: EmbeddedServer, admin: psycopg.Connection[Any]) -> None:
    with program(server, "idle", "held") as (process, _):
        result = ask(process.pid)
        assert result.kind is OutcomeKind.FAILED
        assert "gave back 5 idle connections; 1 pool did not answer" in result.text
        assert sessions(admin, 3) == 3


def test_a_process_that_is_stopped_does_not_answer(server: EmbeddedServer) -> None:
    with program(server, "idle") as (process, _):
        process.send_signal(signal.SIGSTOP)
        os.waitpid(process.pid, os.WUNTRACED)
        result = ask(process.pid, within=0.0)
        assert (result.kind, "did not answer" in result.text) == (OutcomeKind.FAILED, True)


@needs_root
def test_another_user_may_not_ask(server: EmbeddedServer) -> None:
    with program(server, "idle") as (process, _):
        told, telling = os.pipe()
        child = os.fork()
        if child == 0:
            os.setgroups([])
            os.setgid(65534)
            os.setuid(65534)
            result = ask(process.pid, within=0.0)
            os.write(telling, f"{result.kind.value}|{result.text}".encode())
            os._exit(0)
        os.close(telling)
        os.waitpid(child, 0)
        with os.fdopen(told) as file:
            assert file.read() == f"refused|process {process.pid} is another user's: uid 65534 may not ask it"


def test_a_process_without_such_a_pool_cannot_be_asked() -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        assert "has no pool of pgusher's" in ask(process.pid).text
        process.kill()


@pytest.mark.parametrize(
    "raw", [b"", b"\0" * 8, loans.ANSWER.pack(7, 1, 2, 3, 4, 8), loans.ANSWER.pack(8, 1, 2, 3, 4, 7)]
)
def test_a_torn_answer_is_none(raw: bytes) -> None:
    assert loans.parse_answer(raw, 7) is None


def test_the_parts_of_the_ledger_do_not_overlap() -> None:
    assert loans.HEADER.size <= loans.REQUEST_AT
    assert loans.REQUEST_AT + loans.REQUEST.size <= loans.ANSWER_AT
    assert loans.ANSWER_AT + loans.ANSWER.size <= loans.RECORDS_AT


def test_a_look_without_a_question_starts_no_thread() -> None:
    from pgusher.client import drain as served
    from pgusher.client.ledger import own_ledger

    own_ledger()
    before = threading.active_count()
    for _ in range(1000):
        served.look()
    assert threading.active_count() == before
