"""How a pool for asyncio looks after its loans: which task has ended with one, who has one for long."""

from __future__ import annotations

import asyncio
import threading
import weakref
from collections.abc import Callable, Coroutine
from contextlib import suppress
from functools import partial
from time import monotonic
from typing import Any

from pgusher.client import drain
from pgusher.client.core import Core
from pgusher.client.loans import Seat, seat_of
from pgusher.client.watch import gone, in_use

_DRAINED_WITHIN = 1.0
"""Seconds in which an event loop that is not held up comes to it."""

_tasks: set[asyncio.Task[None]] = set()


def finish(conns: list[Any]) -> None:
    """Close them without waiting: libpq says goodbye and closes the socket."""
    for conn in conns:
        conn._pool = None  # noqa: SLF001  # as psycopg_pool does
        with suppress(Exception):
            conn.pgconn.finish()


class AsyncCare(Core):
    """The part of `AsyncPool` that does not serve its callers."""

    _loop: asyncio.AbstractEventLoop | None
    _close_connection: Callable[[Any], Coroutine[Any, Any, None]]
    putconn: Callable[[Any], Coroutine[Any, Any, None]]

    def adopt(self, conn: Any) -> None:
        """Make the current task the borrower of a connection that another task took with `getconn`."""
        seat = seat_of(conn)
        if seat is None or not seat.since:
            self._check_pool_putconn(conn)
            return
        seat.task = asyncio.current_task()

    def _watch_in(self, delay: float) -> None:
        loop = asyncio.get_running_loop()
        loop.call_later(delay, partial(_look, weakref.ref(self)))

    def _watch(self) -> None:
        if self._ledger is not None:
            drain.look()
            self._book()
        now = monotonic()
        for seat in list(self._out.values()):
            if gone(seat):
                if now >= seat.look_after:
                    self._reclaim(seat)
            elif now - seat.since > self.long_loan:
                self._tell_long(seat, now)
        if self._foreign_gate and not self._closed:
            self._gate.tick(now, self._nconns, len(self._pool), len(self._waiting))
            if self._gate.pressed:
                self._give_idle_back()
            self._watch_in(0.2)
            return
        self._watched = bool(self._out)
        if self._watched:
            self._watch_in(0.5)

    def _heal_in(self, delay: float) -> None:
        asyncio.get_running_loop().call_later(delay, partial(_count_slots, weakref.ref(self)))

    async def _complete(self, work: Coroutine[Any, Any, None]) -> None:
        """Wait for it; who is cancelled in the meantime waits no more, but it is done all the same."""
        task = asyncio.get_running_loop().create_task(work)
        _tasks.add(task)
        task.add_done_callback(_tasks.discard)
        await asyncio.shield(task)

    async def _give_slot_back(self, conn: Any) -> None:
        await self._close_connection(conn)
        self._nconns -= 1
        self._grow_if_needed()

    def _give_idle_back(self) -> None:
        while self._gate.pressed and self._pool:
            seat = seat_of(self._pool[0])
            if seat is None or not self._gate.give_back(monotonic(), seat.made):
                return
            conn = self._pool.popleft()
            self._nconns -= 1
            finish([conn])
            self._ended(conn)
            self._grow_if_needed()

    def hand_back(self) -> tuple[int, int, int] | None:
        """From another thread: close what is idle, except for `min_size`: how many were closed, are lent, were kept.

        None when the event loop does not come to it within a second.
        """
        loop = self._loop
        if loop is None or loop.is_closed():
            return 0, 0, 0
        done: list[tuple[int, int, int]] = []
        over = threading.Event()
        self._in_loop(partial(self._drain_here, done, over))
        over.wait(_DRAINED_WITHIN)
        return done[0] if done else None

    def _drain_here(self, done: list[tuple[int, int, int]], over: threading.Event) -> None:
        given = 0
        while self._pool and self._nconns > self._min_size:
            conn = self._pool.popleft()
            self._nconns -= 1
            finish([conn])
            self._ended(conn)
            given += 1
        self._grow_if_needed()
        done.append((given, len(self._out), len(self._pool)))
        over.set()

    def _reclaim(self, seat: Seat) -> None:
        """The borrower has ended: close what it had, unless somebody else has it now."""
        if in_use(seat):
            self._tell_handed_on(seat)
            return
        conn = seat.conn()
        if conn is None or self._out.pop(seat.slot, None) is None:
            return
        self._nconns -= 1
        self._stats["loans_reclaimed"] += 1
        self._tell_reclaimed(seat)
        finish([conn])
        self._ended(conn)
        self._grow_if_needed()

    def _found(self, conn: Any, since: float) -> None:
        """A loan of a `with` block was entered and never left, and nobody has it any more."""
        self._in_loop(partial(self._start_put_found, conn, since))

    def _start_put_found(self, conn: Any, since: float) -> None:
        seat = seat_of(conn)
        if seat is not None and since and seat.since == since:  # else it has ended, and may be lent to another
            self._stats["loans_forgotten"] += 1
            self._tell_forgotten(seat)
            seat.told = 0
            # The loop keeps only a weak reference to a task.
            task = asyncio.get_running_loop().create_task(self.putconn(conn))
            _tasks.add(task)
            task.add_done_callback(_tasks.discard)

    def _forgotten(self, seat: Seat) -> None:
        """A connection was collected by the interpreter; its session ended with it."""
        self._in_loop(partial(self._count_forgotten, seat))

    def _count_forgotten(self, seat: Seat) -> None:
        if not self._unseat(seat):
            self._heal_soon()  # lost between idle and lent, unless it was counted out already
            return
        self._nconns -= 1
        self._stats["loans_forgotten"] += 1
        self._grow_if_needed()
        self._tell_forgotten(seat)

    def _in_loop(self, action: Callable[[], object]) -> None:
        if self._loop is not None:
            with suppress(RuntimeError):  # the loop is closed, and the pool with it
                self._loop.call_soon_threadsafe(action)


def _look(reference: weakref.ref[AsyncCare]) -> None:
    pool = reference()
    if pool is not None and not (pool.closed and not pool._out):  # noqa: SLF001  # a function of the pool's own
        pool._watch()  # noqa: SLF001  # as above


def _count_slots(reference: weakref.ref[AsyncCare]) -> None:
    pool = reference()
    if pool is not None:
        again = pool._heal()  # noqa: SLF001  # a function of the pool's own
        pool._look_until = 0.0  # noqa: SLF001  # as above
        if again:
            pool._heal_soon()  # noqa: SLF001  # as above
