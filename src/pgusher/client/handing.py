"""How a pool for threads lends a session and takes it back, so that no exception of a signal loses one.

The handler of a signal (a timer's, KeyboardInterrupt) may raise between any two steps of the main thread. At each of
them a session is among the idle ones, lent, or in the hand of a call here, which puts it back before the exception goes
on. psycopg_pool has such sections, too, in frames of its own (source: `_getconn_with_check_loop` in psycopg_pool 3.3);
here they are whole. Slots that are only miscounted then are found by `pgusher.client.heal`.
"""

from __future__ import annotations

import sys
from contextlib import suppress
from logging import INFO
from time import monotonic, sleep
from typing import Any, Generic

from psycopg_pool import PoolClosed, PoolTimeout, TooManyRequests
from psycopg_pool.abc import CT
from psycopg_pool.base import AttemptWithBackoff
from psycopg_pool.pool import ConnectionPool, ReturnConnection

from pgusher.client.alive import ended, entangled
from pgusher.client.care import Care
from pgusher.client.core import IDLE, JUST_NOW
from pgusher.client.lending import Lending
from pgusher.client.loans import Seat, seat_of
from pgusher.client.position import Position
from pgusher.client.reports import pool_logger


class Hand:
    """What a call has in its hand: a connection that is to be lent to its caller."""

    __slots__ = ("conn", "since")

    def __init__(self) -> None:
        self.conn: Any = None
        self.since = 0.0
        """When its loan began, which tells it from all other loans of that connection."""


class Handing(Care, ConnectionPool[CT], Generic[CT]):
    """The part of `Pool` that serves its callers."""

    _signals_strike = True

    def connection(self, timeout: float | None = None) -> Lending[CT]:  # type: ignore[override]  # is one, and faster
        """A loan for a `with` block: committed and given back at its end, rolled back after an exception."""
        return Lending(self, timeout)

    # -- borrowing -------------------------------------------------------------------------------------------------

    def getconn(self, timeout: float | None = None) -> CT:
        """Borrow a connection: at once if one is idle, else wait in line for at most `timeout` seconds.

        Raises PoolTimeout, which names the borrowers; ConnectFailed, a PoolTimeout, when no connect can work;
        TooManyRequests and PoolClosed as psycopg_pool does.
        """
        hand = Hand()
        try:
            conn = self._lend_to(hand, timeout, sys._getframe(1))  # noqa: SLF001  # who borrows
        except BaseException:
            self._restore(hand.conn)
            raise
        return conn

    def _lend_to(self, hand: Any, timeout: float | None, frame: Any) -> CT:
        """Borrow one, as `hand.conn` before it is returned: what a call has returned is nowhere for a moment."""
        plain = not (
            self._exiting or self._closed or self._check or self._open_implicit or pool_logger.isEnabledFor(INFO)
        )
        if plain and (timeout is None or timeout > 0.0):
            conn = None
            try:
                with self._lock:
                    if self._pool:
                        conn = self._pool[0]
                        self._pool.popleft()
                        if len(self._pool) < self._nconns_min:  # noqa: PLR1730 - a call of min costs more
                            self._nconns_min = len(self._pool)
                if conn is not None:
                    now = monotonic()
                    seat: Seat = conn._pgusher_seat  # type: ignore[attr-defined]  # noqa: SLF001  # our own
                    if now - seat.returned < JUST_NOW or not ended(conn):
                        self._stats[self._REQUESTS_NUM] += 1
                        self._waits.at_once += 1
                        conn._pool = self  # noqa: SLF001  # as psycopg_pool does
                        self._lent(seat, frame, None, now)
                        hand.since = now
                        hand.conn = conn
                        return conn
                    self._drop_idle(conn)
            except BaseException:
                self._restore(conn)
                raise
        self._wait_for_one(self.timeout if timeout is None else timeout, frame, hand)
        return hand.conn  # type: ignore[no-any-return]  # a connection of the pool's class

    def _wait_for_one(self, timeout: float, frame: Any, hand: Any) -> None:
        if self._finalizing():
            raise PoolClosed(f"the pool {self.name!r} lends no more: the interpreter is shutting down")
        began = monotonic()
        try:
            pool_logger.info("connection requested from %r", self.name)
            self._stats[self._REQUESTS_NUM] += 1
            self._check_open_getconn()
            try:
                self._find(began + timeout, hand)
            except PoolTimeout as error:
                if error.__cause__ is not None:  # no connect can work
                    raise
                self._stats["requests_timeouts"] += 1
                raise self._timed_out(timeout) from self._last_error
            finally:
                self._waits.add(monotonic() - began)
            hand.conn._pool = self  # noqa: SLF001  # as psycopg_pool does
            hand.since = now = monotonic()
            self._lent(hand.conn._pgusher_seat, frame, None, now)  # noqa: SLF001  # our own
        except BaseException:
            conn, hand.conn = hand.conn, None
            self._restore(conn)
            raise

    def _find(self, deadline: float, hand: Any) -> None:
        """What psycopg_pool's `_getconn_with_check_loop` does."""
        attempt: AttemptWithBackoff | None = None
        while True:
            self._find_unchecked(deadline - monotonic(), hand)
            if not self._check or self._passes(hand.conn):
                pool_logger.info("connection given by %r", self.name)
                return
            self._putconn(hand.conn, from_getconn=True)
            hand.conn = None
            # A check that fails is not repeated in a busy loop.
            now = monotonic()
            if attempt is None:
                attempt = AttemptWithBackoff(timeout=deadline - now)
            else:
                attempt.update_delay(now)
            if attempt.time_to_give_up(now):
                raise PoolTimeout
            sleep(attempt.delay)

    def _passes(self, conn: CT) -> bool:
        try:
            self._check_connection(conn)
        except Exception:  # noqa: BLE001  # whatever the user's function raises: it is logged there
            return False
        return True

    def _find_unchecked(self, timeout: float, hand: Any) -> None:
        position = Position()
        try:
            with self._lock:
                if self._take_idle(timeout, hand):
                    return
                self._waiting.append(position)
                self._stats[self._REQUESTS_QUEUED] += 1
                self._maybe_grow_pool()
            self._heal_soon()
            began = monotonic()
            try:
                position.wait(timeout)
                hand.conn = position.conn
            except BaseException:
                self._stats[self._REQUESTS_ERRORS] += 1
                raise
            finally:
                self._stats[self._REQUESTS_WAIT_MS] += int(1000.0 * (monotonic() - began))
        except BaseException:
            # Who leaves the line leaves no place behind: there a session would be lent to nobody.
            position.fail(PoolTimeout())
            if hand.conn is None:
                hand.conn = position.conn
            with self._lock:
                self._prune()
            raise

    def _take_idle(self, timeout: float, hand: Any) -> bool:
        """Under the lock: whether there is an idle one that is alive. Raises as psycopg_pool does."""
        if timeout <= 0.0:
            raise PoolTimeout
        while self._pool:
            hand.conn = self._pool[0]
            self._pool.popleft()
            self._nconns_min = min(self._nconns_min, len(self._pool))
            if not ended(hand.conn):
                return True
            self._drop_idle(hand.conn)
            hand.conn = None
        if self.max_waiting and len(self._waiting) >= self.max_waiting:
            self._stats[self._REQUESTS_ERRORS] += 1
            raise TooManyRequests(f"the pool {self.name!r} has already {len(self._waiting)} requests waiting")
        wrong = self._wrong() if not self._out else None
        if wrong is not None:
            self._stats[self._REQUESTS_ERRORS] += 1
            raise wrong
        return False

    # -- giving back -----------------------------------------------------------------------------------------------

    def putconn(self, conn: CT) -> None:
        """Give a connection back. Raises ValueError for one that is not lent by this pool."""
        hand: object = None
        seat: Seat | None = None
        try:
            seat = getattr(conn, "_pgusher_seat", None)
            if seat is None or getattr(conn, "_pool", None) is not self:
                self._check_pool_putconn(conn)
                super().putconn(conn)  # a connection that something else has put under our care
                return
            if seat.over and seat.since == 0.0:  # a fork lies between: the session is the parent's
                return
            if self._exiting and self._finalizing():  # a thread that had the lock was stopped where it stood
                conn.pgconn.finish()
                return
            seat.hand = hand = seat.since  # an object of its own for each loan
            self._back(seat)
            if (
                not (self._closed or self._reset or self._gate.pressed)
                and conn.pgconn.transaction_status == IDLE
                and not entangled(conn)
                and conn._created_at > self._drained_at  # noqa: SLF001  # as psycopg_pool does
                and conn._expire_at > seat.returned  # noqa: SLF001  # as psycopg_pool does
                and not pool_logger.isEnabledFor(INFO)
            ):
                conn._pool = None  # noqa: SLF001  # as psycopg_pool does
                with self._lock:
                    if not (self._waiting or self._closed) and self._pool_full_event is None:
                        seat.hand = None
                        self._pool.append(conn)  # between these two no signal comes through: they call nothing else
                        return
                self._add_to_pool(conn)
            else:
                super().putconn(conn)
        except BaseException:
            if seat is not None and (seat.hand is hand if hand else seat.since and conn._pool is self):  # noqa: SLF001  # as above
                self._restore(conn)
            raise

    def _add_to_pool(self, conn: CT) -> None:
        conn._pool = None  # noqa: SLF001  # as psycopg_pool does
        closed = self._closed
        if not closed:
            with self._lock:
                closed = self._closed  # it may have been closed just now
                if not closed:
                    self._give_on(conn)
        if closed:
            self._close_connection(conn)

    def _give_on(self, conn: CT) -> None:
        """Under the lock: to the first in line who takes it, else to the idle ones. Interrupted, it is done first."""
        seat = seat_of(conn)
        position: Any = None
        try:
            while self._waiting:
                position = self._waiting[0]
                if position.set(conn):
                    self._waiting.popleft()
                    break
                self._waiting.popleft()
            else:
                position = None
                self._pool.append(conn)
                if seat is not None:
                    seat.hand = None
                if self._pool_full_event is not None and len(self._pool) >= self._min_size:
                    self._pool_full_event.set()
        except BaseException:
            if (position is None or position.conn is not conn) and conn not in self._pool:
                self._give_on(conn)
            if seat is not None:
                seat.hand = None
            raise
        else:
            if seat is not None:
                seat.hand = None

    def _restore(self, conn: CT | None) -> None:
        """A call that had it was interrupted: no loan, and back to the others as soon as a helper has looked at it."""
        if conn is None:
            return
        seat = seat_of(conn)
        if seat is not None:
            if self._out.get(seat.slot) is seat:
                del self._out[seat.slot]
            seat.since = 0.0
            seat.owner = seat.task = None
            if self._ledger is not None:
                self._ledger.returned(seat.slot)
            if seat.over:
                self._heal_soon()
                return
        if self._closed:
            with suppress(Exception):
                self._close_connection(conn)
            return
        with self._lock:
            idle = conn in self._pool
        if not idle:
            self.run_task(ReturnConnection(self, conn, from_getconn=True))

    def _end_loan(self, conn: CT, since: float) -> None:
        """The loan that began at `since` is over, whatever became of the call that was to end it."""
        seat = seat_of(conn)
        if seat is not None and seat.since == since and since:
            self._restore(conn)
