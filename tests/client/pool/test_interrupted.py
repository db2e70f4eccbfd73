"""An exception of a signal handler, at each point at which one may come through, loses no slot.

The interpreter looks for signals when a function begins, after each call, and at each jump back (source: ceval.c,
CHECK_EVAL_BREAKER). Here a trace function raises at the first of these points within our own frames, then in the next
run at the second, and so on until a run comes through. Every exception is kept, with the frames in its traceback and
all that they remember: what is lost so is collected by nobody.
"""

from __future__ import annotations

import dis
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import Any

import psycopg_pool
import pytest

import pgusher
from pgusher.client import heal
from pgusher.demo.server import EmbeddedServer

OURS = (os.path.dirname(heal.__file__) + os.sep, os.path.dirname(psycopg_pool.__file__) + os.sep)
AFTER = {"RESUME", "CALL", "CALL_KW", "CALL_FUNCTION_EX", "JUMP_BACKWARD"}


class Strike(BaseException):
    """As KeyboardInterrupt: no `except Exception` stops it."""


class Striker:
    """Raises at one of the points, by number."""

    def __init__(self, number: int) -> None:
        self.left = number
        self.place = ""
        self._before: dict[int, str] = {}

    def __call__(self, frame: FrameType, event: str, _: Any) -> Any:
        if not frame.f_code.co_filename.startswith(OURS) or frame.f_code.co_name in {"__del__", "<genexpr>"}:
            return None  # what a destructor raises goes nowhere, and a generator that is dropped is closed by one
        frame.f_trace_opcodes = True
        frame.f_trace_lines = False
        if event == "opcode":
            before = self._before.get(id(frame), "")
            self._before[id(frame)] = dis.opname[frame.f_code.co_code[frame.f_lasti]]
            if before in AFTER and not self.place:
                if not self.left:
                    self.place = f"{os.path.basename(frame.f_code.co_filename)}:{frame.f_lineno} {frame.f_code.co_name}"
                    raise Strike(self.place)
                self.left -= 1
        elif event == "call":
            self._before[id(frame)] = "RESUME"  # which is not traced by itself
        return self

    @contextmanager
    def on(self) -> Iterator[None]:
        before = sys.gettrace()
        sys.settrace(self)
        try:
            yield
        finally:
            sys.settrace(before)


@pytest.fixture
def pool(server: EmbeddedServer, monkeypatch: pytest.MonkeyPatch) -> Iterator[pgusher.Pool[Any]]:
    monkeypatch.setattr(heal, "LOOK", 0.02)
    with pgusher.Pool(server.dsn(), min_size=2, max_size=2) as made:
        made.wait(20)
        yield made


def least(points: int) -> int:
    """How many there must be. From Python 3.12 on a trace function is told of a part of them: those are tried."""
    return points if sys.version_info < (3, 12) else -1  # in one of these tests it is none on 3.12


def each_point(
    pool: pgusher.Pool[Any], step: Callable[[Striker], None], prepare: Callable[[], None] = lambda: None
) -> int:
    """Run the step once for each point in it; the pool must be whole after each."""
    kept: list[BaseException] = []
    for number in range(2000):
        prepare()
        striker = Striker(number)
        try:
            step(striker)
        except Strike as strike:
            kept.append(strike)
        if not striker.place:
            return len(kept)
        whole(pool, striker.place)
    raise AssertionError("it does not end")


def whole(pool: pgusher.Pool[Any], place: str) -> None:
    """All slots are there, and no session too many."""
    taken: list[Any] = []
    try:
        taken += [pool.getconn(timeout=10) for _ in range(pool.max_size)]
    except psycopg_pool.PoolTimeout as error:
        raise AssertionError(f"a slot was lost at {place}: {pool.get_stats()}") from error
    assert len({conn.info.backend_pid for conn in taken}) == pool.max_size, place
    for conn in taken:
        assert conn.execute("select 1").fetchone() is not None
        pool.putconn(conn)
    deadline = time.monotonic() + 10
    while (now := (pool._nconns, len(pool._pool), len(pool._out), len(pool._waiting))) != (pool.max_size,) * 2 + (0, 0):
        assert time.monotonic() < deadline, f"{place}: {now}"
        time.sleep(0.001)


def test_a_block(pool: pgusher.Pool[Any]) -> None:
    def step(striker: Striker) -> None:
        with striker.on(), pool.connection() as conn:
            assert conn is not None

    assert each_point(pool, step) > least(20)


def test_a_block_that_has_run_a_statement(pool: pgusher.Pool[Any]) -> None:
    def step(striker: Striker) -> None:
        lending = pool.connection()
        with lending as conn:
            conn.execute("select 1")
            sys.settrace(striker)
        sys.settrace(None)

    def untraced(striker: Striker) -> None:
        try:
            step(striker)
        finally:
            sys.settrace(None)

    assert each_point(pool, untraced) > least(8)


def test_by_hand(pool: pgusher.Pool[Any]) -> None:
    def step(striker: Striker) -> None:
        conn = None
        try:
            with striker.on():
                conn = pool.getconn()
                pool.putconn(conn)
        except Strike:
            # Before the first step of putconn it is the caller's still, and says so.
            if conn is not None and pool._out:
                assert striker.place.endswith(" putconn")
                pool.putconn(conn)
            raise

    assert each_point(pool, step) > least(20)


def test_a_loan_with_an_open_transaction_is_given_back(pool: pgusher.Pool[Any]) -> None:
    def step(striker: Striker) -> None:
        conn = pool.getconn()
        conn.execute("select 1")
        try:
            with striker.on():
                pool.putconn(conn)
        except Strike:
            if pool._out:
                assert striker.place.endswith(" putconn")
                pool.putconn(conn)
            raise

    assert each_point(pool, step) > least(15)


def test_idle_sessions_that_have_ended(pool: pgusher.Pool[Any]) -> None:
    def prepare() -> None:
        for conn in list(pool._pool):
            conn.pgconn.finish()
            conn._pgusher_seat.returned = 0.0

    def step(striker: Striker) -> None:
        with striker.on(), pool.connection(timeout=20):
            pass

    assert each_point(pool, step, prepare) > least(50)


def test_a_loan_that_goes_to_who_waits(pool: pgusher.Pool[Any]) -> None:
    def step(striker: Striker) -> None:
        one, other = pool.getconn(), pool.getconn()
        served: list[Any] = []

        def wait() -> None:
            with pool.connection(timeout=20) as conn:
                served.append(conn)

        waiter = threading.Thread(target=wait)
        waiter.start()
        while not pool._waiting:
            time.sleep(0.0005)
        try:
            with striker.on():
                pool.putconn(one)
        except Strike:
            with suppress(ValueError):
                if (
                    pool._out.get(one._pgusher_seat.slot) is not None
                    and one._pgusher_seat.owner is threading.main_thread()
                ):
                    pool.putconn(one)
            raise
        finally:
            pool.putconn(other)
            waiter.join(20)
            assert served, striker.place

    assert each_point(pool, step) > least(15)


def test_who_waits_in_line(pool: pgusher.Pool[Any]) -> None:
    def step(striker: Striker) -> None:
        one, other = pool.getconn(), pool.getconn()

        def give_back() -> None:
            deadline = time.monotonic() + 0.01
            while not pool._waiting and time.monotonic() < deadline:
                time.sleep(0.0005)
            pool.putconn(one)
            pool.putconn(other)

        giver = threading.Thread(target=give_back)
        giver.start()
        try:
            with striker.on(), pool.connection(timeout=20):
                pass
        finally:
            giver.join(20)

    assert each_point(pool, step) > least(50)


def test_a_cursor_of_a_database(server: EmbeddedServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(heal, "LOOK", 0.02)
    db = pgusher.Database(server.dsn(application_name="interrupted"), min_size=2, max_size=2)
    db.pool.wait(20)

    def step(striker: Striker) -> None:
        with striker.on(), db.cursor() as cur:
            assert cur is not None
        with striker.on(), db as cur:
            assert cur is not None

    assert each_point(db.pool, step) > least(60)
    db.close()
