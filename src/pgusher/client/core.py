"""What both pools decide, without doing any of it: when to connect, whom to fail, what to say. The shells do the I/O.

Each method that changes the state of the pool says whether its lock must be held.
"""

from __future__ import annotations

import os
import sys
import weakref
from collections.abc import Callable
from functools import partial
from threading import get_ident, main_thread
from time import monotonic, time
from typing import TYPE_CHECKING, Any

import psycopg
from psycopg.conninfo import conninfo_to_dict

from pgusher.client import exits, fork
from pgusher.client.alive import ended, peek_of
from pgusher.client.backoff import Backoff
from pgusher.client.crew import TIMEKEEPER
from pgusher.client.failures import ConnectFailed
from pgusher.client.gate import Gate, own_gate
from pgusher.client.heal import Heal, place_of, tell_end
from pgusher.client.label import label
from pgusher.client.ledger_hook import Ledger
from pgusher.client.limits import Limits, SelfLimits
from pgusher.client.loans import SLOTS, Seat, attach, lend, seat_of
from pgusher.client.reports import logger, pool_logger
from pgusher.client.stats import Waits

if TYPE_CHECKING:
    from pgusher.client.refusal import Verdict

RESTART_CAP = 0.25
"""Seconds between two attempts at a server that starts or does not answer: it forks nothing for a refused packet."""
WRONG_FRESH = 0.5
"""Seconds for which a wrong password stays wrong without asking again."""
WATCH = 0.5
"""Seconds between two looks at loans that are out: who has ended with one is told within a second."""
LONG_LOAN = 60.0
"""Seconds after which a loan is told, unless the pool was given another figure."""

JUST_NOW = 0.001
"""Seconds for which a session that came back is taken to be alive: so a loop that borrows and returns asks nobody."""
IDLE = psycopg.pq.TransactionStatus.IDLE
UNKNOWN = psycopg.pq.TransactionStatus.UNKNOWN


class Core(Heal):
    """The part of a pool that both flavours share. It stands before psycopg_pool's class in the order of bases."""

    # Held here: at the interpreter's end a module's own names may be gone.
    _finalizing = staticmethod(sys.is_finalizing)
    _signals_strike = False
    """Whether its callers may be interrupted at any step: a signal's exception ends an event loop altogether."""
    tells_aborted = False
    """Whether a block that ends in order in a failed transaction is an error: psycopg's commit tells nobody."""
    _exiting = False
    """The program is over, but for what functions at exit and destructors do."""
    _waiting: Any
    _lock: Any
    _pool_full_event: Any
    _growing: bool
    _maybe_grow_pool: Callable[[], None]
    conninfo: Any

    def _set_up(
        self,
        conninfo: object,
        *,
        service: str | None,
        gate: Gate | None,
        ledger: Ledger | None,
        limits: Limits | None,
        long_loan: float,
        give_all_back: bool,
    ) -> None:
        """Before psycopg_pool's constructor, which may connect at once."""
        self._service = service
        self._ledger = ledger
        self._self_limits = SelfLimits(limits or Limits())
        self._conninfo_seen = conninfo if isinstance(conninfo, str) else ""
        self._foreign_gate = gate is not None
        self._gate: Gate = gate if gate is not None else own_gate(_server(self._conninfo_seen))
        self.long_loan = long_loan
        self._give_all_back = give_all_back
        self._seats: dict[int, Seat] = {}
        self._out: dict[int, Seat] = {}
        self._watched = False
        self._tries = Backoff(RESTART_CAP)
        self._slow = Backoff(30.0, first=1.0)
        self._give_up_at = 0.0
        self._refilling = False
        self._last_error: BaseException | None = None
        self._wrong_since = 0.0
        self._init_error: BaseException | None = None
        self._waits = Waits()
        self._set_up_heal()
        fork.remember(self)
        exits.remember(self)

    # -- connecting ------------------------------------------------------------------------------------------------

    def _parameters(self, kwargs: dict[str, Any]) -> dict[str, Any]:
        """What to connect with, over the user's own `kwargs`: the name and the limits of the session."""
        # libpq takes it only where neither the connection string nor PGAPPNAME says another.
        named = {"fallback_application_name": label(self._service), **kwargs}
        return self._self_limits.add(self._conninfo_seen, named)

    def _seated(self, conn: Any) -> None:
        """A connect worked: give the session its seat."""
        seat = Seat(SLOTS.take(), conn.pgconn.backend_pid, monotonic())
        seat.peek = peek_of(conn)
        attach(conn, seat, partial(_collected, weakref.ref(self), self._gate, self._ledger))
        self._seats[seat.slot] = seat
        if self._ledger is not None:
            self._ledger.opened(seat.slot, seat.backend_pid, time())
            self._place = place_of(conn)
            self._book()

    def _ended(self, conn: Any) -> None:
        """The session is closed: its slot is free for the gate and the ledger. May be called more than once."""
        seat = seat_of(conn)
        if seat is not None and not seat.over:
            seat.over = True
            # Signals come through in the main thread alone, and a gate that is told half is told wrong.
            if self._signals_strike and get_ident() == main_thread().ident:
                TIMEKEEPER.after(0.0, partial(tell_end, self._gate, self._ledger, seat))
            else:
                tell_end(self._gate, self._ledger, seat)
            self._unseat(seat)

    def _ask(self, growing: bool) -> float | None:
        """Under the lock: whether the connect that was counted may begin. Seconds to wait; None: drop it."""
        if self._nconns > self._min_size and not self._waiting:
            self._uncount(growing)
            return None
        now = monotonic()
        delay = self._gate.may_connect(now)
        if delay <= 0.0:
            return 0.0
        if not growing:
            if self._growing:  # the one that grows will come to it
                self._uncount(growing)
                return None
            self._growing = True
        return delay

    def _prune(self) -> None:
        """Under the lock: take out of the line who waits no more, so that nothing is opened for nobody."""
        for position in [each for each in self._waiting if each.error is not None]:
            self._waiting.remove(position)

    def _grow_if_needed(self) -> None:
        """Under the lock: a slot has become free; open a session if somebody, or `min_size`, wants one."""
        if not self._closed and (self._nconns < self._min_size or self._waiting):
            self._maybe_grow_pool()

    def _uncount(self, growing: bool) -> None:
        self._nconns -= 1
        if growing:
            self._growing = False

    def _failed(self, error: BaseException, growing: bool) -> tuple[float | None, bool, list[Any]]:
        """Under the lock: what follows from a failed connect.

        The delay of the next attempt (None: none), whether it was given up, the waiting to be failed.
        """
        from pgusher.client.refusal import Verdict  # late: what works needs none of it

        now = monotonic()
        verdict = _verdict(error)
        if verdict is Verdict.FULL:
            self._stats["connections_refused"] += 1
            self._gate.refused(now)
        else:
            self._gate.failed(now)
        self._last_error = error
        gave_up = self._given_up(now)
        if not verdict.passing:
            self._uncount(growing)
            self._wrong_since = now
            return None, gave_up, self._losers(error)
        if not growing and self._growing:
            self._uncount(growing)
            return None, gave_up, []
        if gave_up and not self._waiting:
            self._nconns -= 1
            self._growing = False
            return None, True, []
        self._growing = True
        # How long a full server is left alone is the gate's to say: it knows of all pools.
        delay = 0.0 if verdict is Verdict.FULL else self._tries.next()
        if self._give_up_at:  # the last attempt comes when the time is up, not an interval later
            delay = min(delay, max(0.0, self._give_up_at - now))
        return delay, gave_up, []

    def _given_up(self, now: float) -> bool:
        if not self._give_up_at:
            self._give_up_at = now + self.reconnect_timeout
            return False
        if now < self._give_up_at:
            return False
        self._give_up_at = 0.0
        pool_logger.warning("reconnection attempt in pool %r failed after %s sec", self.name, self.reconnect_timeout)
        return True

    def _losers(self, error: BaseException) -> list[Any]:
        """Those who wait for what will not come. While sessions are out, one of those may come back."""
        if self._pool_full_event is not None:
            self._init_error = error
            self._pool_full_event.set()
        if self._nconns > 0 and (self._out or self._pool):
            return []
        losers = list(self._waiting)
        self._waiting.clear()
        return losers

    def _refill_in(self, gave_up: bool) -> float | None:
        """Under the lock: after a failure for good, when to look whether it still is one. None: not by itself."""
        if gave_up or self._refilling or (self._nconns >= self._min_size and not self._waiting):
            return None
        self._refilling = True
        return self._slow.next()

    def _worked(self) -> None:
        """A connect worked."""
        self._gate.room(monotonic())
        self._tries.reset()
        self._slow.reset()
        self._give_up_at = 0.0
        self._wrong_since = 0.0
        self._last_error = None
        self._failure_said = ("", 0.0)

    def _wrong(self) -> ConnectFailed | None:
        """The answer that a caller would get again; None when it is time to ask."""
        if not self._wrong_since or monotonic() - self._wrong_since > WRONG_FRESH or self._last_error is None:
            return None
        return self._connect_failed(self._last_error)

    def _connect_failed(self, error: BaseException) -> ConnectFailed:
        failed = ConnectFailed(f"pool {self.name!r} could not connect: {error}")
        failed.__cause__ = error
        return failed

    def _init_failed(self) -> ConnectFailed | None:
        """What a caller of `wait()` is told when the first sessions cannot be opened."""
        return None if self._init_error is None else self._connect_failed(self._init_error)

    # -- lending ---------------------------------------------------------------------------------------------------

    def _lent(self, seat: Seat, frame: Any, task: Any, now: float) -> None:
        """A loan begins, at the first frame of the user's own."""
        lend(seat, frame, task, now)
        self._out[seat.slot] = seat
        if len(self._out) > self._most_lent:  # noqa: PLR1730 - the call of max() would double what this costs each loan
            self._most_lent = len(self._out)
        ledger = self._ledger
        if ledger is not None:
            code = seat.code
            name = task.get_name() if task is not None else ""
            file = code.co_filename if code is not None else ""
            ledger.lent(seat.slot, seat.ident, seat.owner.native_id or 0, name, file, seat.line)
        if not self._watched:
            self._watch_in(WATCH)  # first: who is interrupted here looks once more, not never again
            self._watched = True

    def _back(self, seat: Seat) -> None:
        """It ends."""
        self._out.pop(seat.slot, None)
        now = monotonic()
        used = now - seat.since
        if self._ledger is not None:
            self._ledger.returned(seat.slot)
        if used >= 0.001:
            self._stats[self._USAGE_MS] += int(1000.0 * used)
        if seat.told:
            logger.warning(
                "pool %r: the loan to %s came back after %.1f s; borrowed at %s", self.name, seat.who, used, seat.place
            )
        seat.returned = now
        seat.since = 0.0
        seat.owner = seat.task = None

    def _watch_in(self, delay: float) -> None:
        """Look at the loans in `delay` seconds."""
        raise NotImplementedError

    # -- what is broken --------------------------------------------------------------------------------------------

    def _dropped(self, conn: Any) -> None:
        """Under the lock: an idle connection is gone, with its session."""
        self._ended(conn)  # first: who is interrupted here counts a slot too many, which is found
        self._nconns -= 1
        self._stats[self._CONNECTIONS_LOST] += 1

    def _generation(self, everything: bool) -> list[Any]:
        """Under the lock: take out what broke together with one connection; the caller closes them.

        What the server has closed shows at its socket. When the network is silent nothing shows: then all are dropped,
        so that no further caller pays for finding out.
        """
        gone: list[Any] = []
        try:
            gone = [conn for conn in self._pool if everything or ended(conn)]
            if gone:
                self._pool = type(self._pool)(conn for conn in self._pool if conn not in gone)
                self._stats["generations_dropped"] += 1
                for conn in gone:
                    self._dropped(conn)
        except BaseException:  # a signal's: finish it
            self._pool = type(self._pool)(conn for conn in self._pool if conn not in gone)
            for conn in gone:
                seat = seat_of(conn)
                if seat is not None and not seat.over:
                    self._dropped(conn)
            raise
        return gone

    def _forget(self) -> list[Any]:
        """In the child of a fork: as if nothing had been opened. What the parent has, to be let go of."""
        seats, self._seats, self._out = list(self._seats.values()), {}, {}
        conns = [conn for conn in (seat.conn() for seat in seats) if conn is not None]
        for seat in seats:
            seat.over = True
            seat.since = 0.0
        self._pool.clear()
        self._waiting.clear()
        self._connects.clear()
        self._look_until = 0.0
        self._nconns = self._nconns_min = 0
        self._growing = self._refilling = self._watched = False
        self._give_up_at = self._wrong_since = 0.0
        self._pool_full_event = None
        self._most = self._most_lent = 0
        if self._foreign_gate:
            self._gate.forked()
        if self._ledger is not None:
            self._ledger.forked()
        return conns


def cut_off(text: str) -> bool:
    """See `pgusher.client.refusal`, which is loaded when something has failed."""
    from pgusher.client import refusal

    return refusal.cut_off(text)


def _verdict(error: BaseException) -> Verdict:
    from pgusher.client.refusal import Verdict, judge

    if isinstance(error, psycopg.OperationalError):
        return judge(str(error), error.sqlstate)
    return Verdict.WRONG


def _server(conninfo: str) -> str:
    """What names the server among those of this process."""
    try:
        given = conninfo_to_dict(conninfo)
    except psycopg.ProgrammingError:
        return conninfo
    words = ("service", "host", "hostaddr", "port")
    return "|".join(str(given.get(word) or os.environ.get(f"PG{word.upper()}", "")) for word in words)


def _collected(
    pool: Any, gate: Gate, ledger: Ledger | None, seat: Seat, finalizing: Callable[[], bool] = sys.is_finalizing
) -> None:
    """A connection was collected. This may be the midst of anything, in any thread: the timekeeper does the rest."""
    if not seat.over and not finalizing():
        seat.over = True
        TIMEKEEPER.after(0.0, partial(_bury, pool, gate, ledger, seat))


def _bury(pool: Any, gate: Gate, ledger: Ledger | None, seat: Seat) -> None:
    tell_end(gate, ledger, seat)
    found = pool()
    if found is not None:
        found._forgotten(seat)  # noqa: SLF001  # a method of the pool's own
