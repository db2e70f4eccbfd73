"""How a pool for threads looks after its loans: who has ended with one, who has one for long, who waits outside."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from time import monotonic
from typing import Any

from pgusher.client import drain
from pgusher.client.core import Core
from pgusher.client.crew import TIMEKEEPER, Post
from pgusher.client.loans import Seat, seat_of
from pgusher.client.reports import pool_logger
from pgusher.client.watch import busy, gone, in_use, left_behind, struck


class Care(Core):
    """The part of `Pool` that does not serve its callers."""

    _post: Post | None
    _close_connection: Callable[[Any], None]
    _end_loan: Callable[[Any, float], None]
    _add_to_pool: Callable[[Any], None]
    putconn: Callable[[Any], None]

    def adopt(self, conn: Any) -> None:
        """Make the calling thread the borrower of a connection that another thread took with `getconn`."""
        seat = seat_of(conn)
        if seat is None or not seat.since:
            self._check_pool_putconn(conn)
            return
        seat.owner = threading.current_thread()
        seat.ident = seat.owner.ident or 0

    def _watch_in(self, delay: float) -> None:
        TIMEKEEPER.after(delay, partial(_look, weakref.ref(self)))

    def _watch(self) -> None:
        """In the timekeeper's thread, which must not block: what takes time is put to a helper."""
        if self._ledger is not None:
            drain.look()
            self._book()
        now = monotonic()
        for seat in list(self._out.values()):
            if gone(seat):
                if self._post is not None and now >= seat.look_after:
                    self._post.put(partial(self._reclaim, seat, seat.since))
            elif now - seat.since > self.long_loan:
                self._tell_long(seat, now)
            if self._waiting and self._post is not None and now >= seat.look_after and struck(seat, now):
                self._post.put(partial(self._reclaim_left, seat, seat.since))
        if self._foreign_gate and not self._closed:
            self._gate.tick(now, self._nconns, len(self._pool), len(self._waiting))
            if self._gate.pressed and self._pool and self._post is not None:
                self._post.put(self._give_idle_back)
            self._watch_in(0.2)
            return
        self._watched = False
        if self._out:
            self._watched = True
            self._watch_in(0.5)

    def _heal_in(self, delay: float) -> None:
        TIMEKEEPER.after(delay, partial(_count_slots, weakref.ref(self)))

    def _drop_idle(self, conn: Any) -> None:
        """An idle connection has ended: let it go, and what ended with it."""
        with self._lock:
            self._dropped(conn)
            lost = [conn, *self._generation(everything=False)]
            self._grow_if_needed()
        for each in lost:
            with suppress(Exception):
                each.close()

    def _drop_generation(self, everything: bool, told: bool = False) -> None:
        with self._lock:
            lost = self._generation(everything)
            self._grow_if_needed()
        for conn in lost:
            if told:
                pool_logger.warning("discarding broken connection: %s", conn)
            conn._pool = None  # noqa: SLF001  # so that close() closes it
            with suppress(Exception):
                conn.close()

    def _give_slot_back(self, conn: Any) -> None:
        self._close_connection(conn)
        with self._lock:
            self._nconns -= 1
            self._grow_if_needed()

    def _give_idle_back(self) -> None:
        while self._gate.pressed:
            with self._lock:
                conn = self._pool.popleft() if self._pool else None
            if conn is None:
                return
            seat = seat_of(conn)
            if seat is None or not self._gate.give_back(monotonic(), seat.made):
                self._add_to_pool(conn)
                return
            self._give_slot_back(conn)

    def hand_back(self) -> tuple[int, int, int] | None:
        """Close what is idle, except for `min_size`: how many were closed, are lent, were kept."""
        given = 0
        for _ in range(len(self._pool)):
            with self._lock:
                conn = self._pool.popleft() if self._pool and self._nconns > self._min_size else None
            if conn is None:
                break
            self._give_slot_back(conn)
            given += 1
        return given, len(self._out), len(self._pool)

    def _reclaim(self, seat: Seat, since: float) -> None:
        """The borrower has ended: close what it had, unless somebody else has it now."""
        conn = seat.conn()
        if conn is None or seat.since != since or busy(conn):
            return
        del conn  # it would count as a holder
        if in_use(seat):
            self._tell_handed_on(seat)
            return
        conn = seat.conn()
        with self._lock:
            if conn is None or seat.since != since or self._out.pop(seat.slot, None) is None:
                return
            self._nconns -= 1
            self._stats["loans_reclaimed"] += 1
        self._tell_reclaimed(seat)
        self._close_connection(conn)
        with self._lock:
            self._grow_if_needed()

    def _reclaim_left(self, seat: Seat, since: float) -> None:
        """Somebody waits, and the main thread has it: a signal may have come between it and the end of its block."""
        seat.look_after = monotonic() + 10.0  # a look walks over all objects of the interpreter
        conn = seat.conn()
        if conn is not None and seat.since == since and not busy(conn) and left_behind(conn, since):
            self._end_loan(conn, since)

    def _found(self, conn: Any, since: float) -> None:
        """A loan of a `with` block was entered and never left, and nobody has it any more."""
        if self._post is not None:
            self._post.put(partial(self._put_found, conn, since))

    def _put_found(self, conn: Any, since: float) -> None:
        seat = seat_of(conn)
        if seat is not None and since and seat.since == since:  # else it has ended, and may be lent to another
            self._stats["loans_forgotten"] += 1
            self._tell_forgotten(seat)
            seat.told = 0
            self.putconn(conn)

    def _forgotten(self, seat: Seat) -> None:
        """A connection was collected by the interpreter; its session ended with it."""
        if not self._unseat(seat):
            self._heal_soon()  # lost between idle and lent, unless it was counted out already
            return
        with self._lock:
            self._nconns -= 1
            self._stats["loans_forgotten"] += 1
            self._grow_if_needed()
        self._tell_forgotten(seat)


def _look(reference: weakref.ref[Care]) -> None:
    pool = reference()
    if pool is not None and not (pool.closed and not pool._out):  # noqa: SLF001  # a function of the pool's own
        pool._watch()  # noqa: SLF001  # as above


def _count_slots(reference: weakref.ref[Care]) -> None:
    pool = reference()
    if pool is None:
        return
    with pool._lock:  # noqa: SLF001  # a function of the pool's own
        again = pool._heal()  # noqa: SLF001  # as above
    pool._look_until = 0.0  # noqa: SLF001  # as above
    if again:
        pool._heal_soon()  # noqa: SLF001  # as above
