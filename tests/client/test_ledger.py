"""The ledger: written by a process as it lends, read by pgusher from outside."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pgusher.client import ledger as ledger_module
from pgusher.client.ledger import Ledger
from pgusher.client.ledger_hook import Ledger as Protocol
from pgusher.collect.ledgers import LedgerSource
from pgusher.collect.processes import ProcessSource
from pgusher.model import loans, own_pools
from pgusher.model.loans import Loan
from pgusher.model.own_pools import OwnPool, parse_pool
from pgusher.model.process import Process
from tests.bed.requirements import needs_root

SOURCES = Path(__file__).resolve().parents[2] / "src"


def process(pid: int | None = None) -> Process:
    pid = os.getpid() if pid is None else pid
    return next(one for one in ProcessSource().look({pid}).processes if one.pid == pid)


def read(pid: int | None = None) -> tuple[Loan, ...]:
    facts = LedgerSource().read([process(pid)])
    assert facts.gaps == ()
    return facts.loans


def lend(ledger: Ledger, slot: int = 0, file: str = "/srv/orders.py", line: int = 42, task: str = "") -> None:
    ledger.lent(slot, threading.get_ident(), threading.get_native_id(), task, file, line)


@pytest.fixture(autouse=True)
def _alone() -> Iterator[None]:
    """A process has one ledger, at a number that the reader knows: that of an earlier test's pools makes room."""
    others = ledger_module._own
    for other in others:
        other.close()
    yield
    for other in others:
        other.forked()


@pytest.fixture
def ledger() -> Iterator[Ledger]:
    made = Ledger()
    assert made.writes
    yield made
    made.close()


def test_what_is_lent_is_read_with_its_thread_and_line(ledger: Ledger) -> None:
    protocol: Protocol = ledger
    protocol.opened(0, 4711, 1_700_000_000.5)
    before = time.time_ns() // 1000
    lend(ledger, task="fetch")
    (loan,) = read()
    assert before <= loan.since <= time.time_ns() // 1000
    me = threading.current_thread().name
    assert loan == Loan(
        os.getpid(), 4711, 1_700_000_000_500_000, True, loan.since, "/srv/orders.py", 42, me,
        threading.get_native_id(), "fetch",
    )  # fmt: skip


def test_what_is_back_is_idle_and_what_is_closed_is_gone(ledger: Ledger) -> None:
    ledger.opened(0, 4711, 1.0)
    ledger.opened(5, 4712, 1.0)
    lend(ledger, 5)
    ledger.returned(5)
    assert [(loan.backend_pid, loan.lent, loan.line) for loan in read()] == [(4711, False, None), (4712, False, None)]
    ledger.closed(0)
    ledger.closed(0)
    assert [loan.backend_pid for loan in read()] == [4712]
    ledger.opened(0, 4713, 2.0)
    assert [loan.backend_pid for loan in read()] == [4713, 4712]


def test_what_was_never_opened_is_not_written(ledger: Ledger) -> None:
    lend(ledger, 3)
    ledger.returned(3)
    ledger.closed(3)
    ledger.opened(loans.SLOTS, 4711, 1.0)
    lend(ledger, loans.SLOTS)
    assert read() == ()


def test_long_and_odd_names_are_cut(ledger: Ledger) -> None:
    ledger.opened(0, 4711, 1.0)
    seen: list[Loan] = []

    def borrow() -> None:
        lend(ledger, file="/srv" + "/x" * 500 + "/ä\udcff.py", task="t" * 500)
        seen.extend(read())

    thread = threading.Thread(target=borrow, name="é" * 300)
    thread.start()
    thread.join()
    (loan,) = seen
    assert loan.file is not None
    assert loan.file.endswith("/ä\\udcff.py")
    assert (loan.thread, loan.task) == ("é" * 20, "t" * 40)


def test_a_thread_that_threading_does_not_know_is_told_by_its_number(ledger: Ledger) -> None:
    ledger.opened(0, 4711, 1.0)
    ledger.lent(0, -1, 77, "", "x.py", 1)
    (loan,) = read()
    assert (loan.thread, loan.thread_id) == (None, 77)


def test_nothing_that_is_read_while_it_is_written_is_a_mixture(ledger: Ledger) -> None:
    ledger.opened(0, 4711, 1.0)
    end = threading.Event()

    def write() -> None:
        while not end.is_set():
            for number in (1, 2, 3):
                lend(ledger, file=f"/srv/{str(number) * 100}.py", line=number, task=str(number) * 30)

    writer = threading.Thread(target=write)
    writer.start()
    try:
        me, source, seen = process(), LedgerSource(), 0
        end_at = time.monotonic() + 60  # a machine may be busy; a thousand come in a tenth of a second
        while seen < 2000 and time.monotonic() < end_at:
            for loan in source.read([me]).loans:
                seen += 1
                assert loan.file == f"/srv/{str(loan.line) * 100}.py"
                assert loan.task == str(loan.line) * 30
    finally:
        end.set()
        writer.join()
    assert seen


PROGRAM = """
import os, sys, threading, time
from pgusher.client.ledger import own_ledger
ledger = own_ledger()
ledger.opened(0, 4711, 1.0)
ledger.lent(0, threading.get_ident(), threading.get_native_id(), "", "x.py", 7)
if sys.argv[1:] == ["fork"]:
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        ledger.opened(0, 4712, 1.0)
        os.write(write, b"x")
        time.sleep(600)
    os.read(read, 1)
    print(child, flush=True)
else:
    print(ledger.writes, flush=True)
time.sleep(600)
"""


@contextmanager
def running(*words: str, **options: object) -> Iterator[tuple[int, str]]:
    """A process with a ledger: its pid and what it printed first."""
    command = [sys.executable, "-c", PROGRAM, *words]
    environment = {**os.environ, "PYTHONPATH": str(SOURCES)}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment, **options) as started:  # type: ignore[call-overload]
        assert started.stdout is not None
        line = started.stdout.readline().strip()
        try:
            yield started.pid, line
        finally:
            started.kill()


def test_another_process_reads_it_and_after_a_kill_nothing_is_left() -> None:
    with running() as (pid, _):
        (loan,) = read(pid)
        assert (loan.process, loan.backend_pid, loan.file, loan.line) == (pid, 4711, "x.py", 7)
        gone = process(pid)
    assert LedgerSource().read([gone]).loans == ()


def test_a_child_of_a_fork_has_a_book_of_its_own() -> None:
    with running("fork") as (pid, line):
        child = int(line)
        try:
            assert [loan.backend_pid for loan in read(pid)] == [4711]
            assert [loan.backend_pid for loan in read(child)] == [4712]
        finally:
            os.kill(child, 9)


def test_a_book_that_another_process_has_inherited_is_not_its_own(ledger: Ledger) -> None:
    ledger.opened(0, 4711, 1.0)
    sleeper = "import sys; sys.stdin.read()"
    with subprocess.Popen(
        [sys.executable, "-c", sleeper], stdin=subprocess.PIPE, pass_fds=[ledger._fd], close_fds=True
    ) as other:
        assert os.readlink(f"/proc/{other.pid}/fd/{ledger._fd}").startswith("/memfd:pgusher-ledger")
        assert read(other.pid) == ()
        other.kill()


@needs_root
def test_a_process_in_a_pid_namespace_is_found_by_the_pid_it_has_here() -> None:
    command = ["unshare", "--pid", "--fork", "--mount-proc", sys.executable, "-c", PROGRAM]
    environment = {**os.environ, "PYTHONPATH": str(SOURCES)}
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=environment) as started:
        assert started.stdout is not None
        try:
            assert started.stdout.readline() == b"True\n"
            children = Path(f"/proc/{started.pid}/task/{started.pid}/children").read_text()
            inner = int(children)
            (loan,) = read(inner)
            assert (loan.process, loan.line) == (inner, 7)
        finally:
            os.kill(int(children), 9)


@needs_root
def test_another_user_gets_a_gap_and_no_loan() -> None:
    reader = (
        "import os, sys; from pgusher.collect.ledgers import LedgerSource; from pgusher.model.process import Process;"
        "os.setgid(65534); os.setuid(65534);"
        "print(LedgerSource().read([Process(int(sys.argv[1]), 0, 0, 1, 'x', 0)]))"
    )
    with running() as (pid, _):
        command = [sys.executable, "-c", reader, str(pid)]
        environment = {**os.environ, "PYTHONPATH": str(SOURCES)}
        said = subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout
    assert "loans=()" in said
    assert "the loan ledgers of 1 process" in said
    assert "permission denied" in said


def test_without_a_descriptor_there_is_no_ledger_and_no_error() -> None:
    program = "import resource; resource.setrlimit(resource.RLIMIT_NOFILE, (256, 256))\n" + PROGRAM.replace(
        "time.sleep(600)", "ledger.returned(0); ledger.closed(0)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "PYTHONPATH": str(SOURCES)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "False\n"


@pytest.mark.parametrize("contents", [b"", b"x" * 5000, bytes(100)])
def test_something_else_of_that_name_is_no_ledger(contents: bytes) -> None:
    made = os.memfd_create("pgusher-ledger")
    os.write(made, contents)
    os.dup2(made, loans.FIRST_FD)
    try:
        assert read() == ()
    finally:
        os.close(made)
        os.close(loans.FIRST_FD)


def test_one_that_came_to_the_next_descriptor_is_found() -> None:
    os.dup2(1, loans.FIRST_FD)
    try:
        ledger = Ledger()
        ledger.opened(0, 4711, 1.0)
        assert len(read()) == 1
        ledger.close()
    finally:
        os.close(loans.FIRST_FD)


def test_a_ledger_of_the_most_records_is_bounded(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    for slot in range(loans.SLOTS):
        ledger.opened(slot, slot + 1, 1.0)
    assert len(read()) == loans.SLOTS
    monkeypatch.setattr("pgusher.collect.ledgers._MOST", 10)
    assert len(read()) == 10


def test_a_watch_asks_a_process_without_a_ledger_every_ten_seconds_only() -> None:
    clock = [100.0]
    source, me = LedgerSource(monotonic=lambda: clock[0]), process()
    assert source.read([me]).loans == ()
    ledger = Ledger()
    try:
        ledger.opened(0, 4711, 1.0)
        clock[0] += 9
        assert source.read([me]).loans == ()
        clock[0] += 2
        assert len(source.read([me]).loans) == 1
    finally:
        ledger.close()
    assert source.read([me]).loans == ()
    assert source.read([]).loans == ()
    assert source._without == {}  # who is gone is forgotten


def pools(pid: int | None = None) -> tuple[OwnPool, ...]:
    return LedgerSource().read([process(pid)]).pools


def test_pools_are_read_with_their_budget_and_go_when_they_are_closed(ledger: Ledger) -> None:
    ledger.pool(1, "orders", (1, 10, 4, 7, 6, 1000, 2500, 1_790_000_000_000_000), ("web", 40))
    ledger.pool(2, "mes\x1b[31m", (0, 5, 0, 0, 0, 0, 0, 5), None)
    orders, mes = pools()
    assert (orders.name, orders.max_size, orders.size, orders.most, orders.most_lent) == ("orders", 10, 4, 7, 6)
    assert (orders.requests, orders.busy_ms, orders.budget, orders.total) == (1000, 2500, "web", 40)
    assert (mes.budget, mes.total) == ("", 0)
    ledger.pool(1, "orders", (1, 10, 5, 8, 8, 2000, 3500, 1_790_000_000_000_000), ("web", 40))
    assert [(one.size, one.most_lent) for one in pools()] == [(5, 8), (0, 0)]
    ledger.pool_closed(1)
    ledger.pool_closed(1)
    assert [one.max_size for one in pools()] == [5]
    ledger.pool(3, "again", (0, 3, 0, 0, 0, 0, 0, 5), None)
    assert [one.name for one in pools()] == ["again", "mes\x1b[31m"]


def test_a_pool_tells_where_its_sessions_lead_to(ledger: Ledger) -> None:
    figures = (0, 10, 1, 1, 1, 1, 1, 5)
    ledger.pool(1, "orders", figures, None)
    ledger.pool(2, "mes", figures, None, ("/run/postgresql", 5433))
    assert [(one.address, one.port) for one in pools()] == [("", 0), ("/run/postgresql", 5433)]
    ledger.pool(1, "orders", figures, None, ("2001:db8::7", 5432))
    ledger.pool_closed(2)
    ledger.pool(3, "again", figures, None)
    assert [(one.name, one.address, one.port) for one in pools()] == [("orders", "2001:db8::7", 5432), ("again", "", 0)]


def test_more_pools_than_there_is_room_for_are_left_out(ledger: Ledger) -> None:
    for key in range(own_pools.POOLS + 5):
        ledger.pool(key, "x" * 200, (0, 1, 0, 0, 0, 0, 0, 5), None)
    assert len(pools()) == own_pools.POOLS
    assert {len(one.name) for one in pools()} == {own_pools.NAME_BYTES}


@given(st.binary(max_size=own_pools.POOL.size + 10))
def test_any_record_of_a_pool_is_one_or_none(raw: bytes) -> None:
    parse_pool(raw, 7)
    whole = raw.ljust(own_pools.POOL.size, b"\1")
    sealed = whole[:4] + b"\1\0\0\0" + whole[8 : own_pools.POOL.size - 4] + whole[:4]
    found = parse_pool(sealed, 7)
    assert found is None or 0 < found.max_size <= 1 << 20


@given(st.binary(max_size=own_pools.PLACE.size + 10))
def test_any_place_is_one_or_none(place: bytes) -> None:
    record = own_pools.POOL.pack(1, 1, 0, 10, 1, 1, 1, 0, 1, 1, 5, b"orders", b"", 1)
    for raw in (place, own_pools.PLACE.pack(1, 70_000, place[:64], 1), own_pools.PLACE.pack(1, 7, place[:64], 1)):
        found = parse_pool(record, 7, raw)
        assert found is not None
        assert 0 <= found.port < 1 << 16
    torn = own_pools.PLACE.pack(2, 7, b"10.0.0.9", 2)
    assert parse_pool(record, 7, torn) == parse_pool(record, 7)
