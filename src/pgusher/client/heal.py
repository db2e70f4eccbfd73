"""A pool that finds its own losses: slots that are counted, and of which nothing is left.

An exception of a signal handler (a timer's, KeyboardInterrupt) may be raised between any two steps of the main thread:
when a session has just been taken from the idle ones and is not lent yet, or when a connect was counted and nobody
told of it. Such a slot would be lost for ever. So the slots are counted anew when somebody waits, and when the
interpreter collects a connection that was neither idle nor lent; what is missing at two looks is free again.

Sessions themselves are not lost so: `pgusher.client.handing` puts back what an interrupted call has in its hand.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable
from functools import partial
from itertools import count
from time import monotonic, time
from typing import Any

from pgusher.client.crew import TIMEKEEPER
from pgusher.client.gate import Gate
from pgusher.client.ledger_hook import Ledger
from pgusher.client.loans import SLOTS, Seat
from pgusher.client.reports import Reports, logger

_KEYS = count(1)
LOOK = 0.5
"""Seconds between two looks: a step in the midst of which the first look came is over at the second."""


def place_of(conn: Any) -> tuple[str, int]:
    """Where a session leads to: a numeric address or the directory of a unix socket, and the port; "" and 0 else."""
    info = conn.info
    try:
        return info.hostaddr or info.host, info.port
    except Exception:  # noqa: BLE001 - a libpq before 12 does not tell; what is only told to a reader harms no session
        return "", 0


class Heal(Reports):
    """The part of a pool that counts its slots. It does no I/O."""

    _seats: dict[int, Seat]
    _out: dict[int, Seat]
    _growing: bool
    _gate: Gate
    _ledger: Ledger | None
    _grow_if_needed: Callable[[], None]

    def _set_up_heal(self) -> None:
        self._connects: set[weakref.ref[Any]] = set()
        self._look_until = 0.0
        self._missing = 0
        self._missing_since = 0.0
        self._dead: list[Seat] = []
        self._most = self._most_lent = 0
        self._place = ("", 0)
        self._key, self._made = next(_KEYS), int(time() * 1e6)

    def _book(self) -> None:
        """Tell the ledger how this pool stands. Not on the way of a loan."""
        if self._ledger is not None:
            self._most = max(self._most, len(self._seats))
            figures = (
                self._min_size, self._max_size, len(self._seats), self._most, self._most_lent,
                int(self._stats[self._REQUESTS_NUM]), int(self._stats[self._USAGE_MS]), self._made,
            )  # fmt: skip
            self._ledger.pool(self._key, self.name, figures, getattr(self._gate, "budget", None), self._place)

    def _unbook(self) -> None:
        """It is closed. This may be in a collection, in the midst of the ledger's own work."""
        if self._ledger is not None:
            TIMEKEEPER.after(0.0, partial(self._ledger.pool_closed, self._key))

    def _note_task(self, task: Any) -> None:
        """A task goes to the helpers. While one that connects exists, the slot that it was counted for is in use."""
        if hasattr(task, "growing"):
            self._connects.add(weakref.ref(task, self._connects.discard))

    def _unseat(self, seat: Seat) -> bool:
        """The session is over; whether it was lent. Its number may be another's by now."""
        if self._seats.get(seat.slot) is seat:
            del self._seats[seat.slot]
        if self._out.get(seat.slot) is seat:
            del self._out[seat.slot]
            return True
        return False

    def _heal_soon(self) -> None:
        """Count the slots in a moment, unless that is due anyway."""
        now = monotonic()
        if now >= self._look_until:
            # In this order: who is interrupted in between looks once too often, not never again.
            self._heal_in(LOOK)
            self._look_until = now + 3 * LOOK

    def _heal_in(self, delay: float) -> None:
        raise NotImplementedError

    def _heal(self) -> bool:
        """Under the lock: count the slots; whether to look again."""
        if self._closed:
            return False
        dead = [seat for seat in list(self._seats.values()) if seat.over or seat.conn() is None]
        tasks = [task for task in (reference() for reference in list(self._connects)) if task is not None]
        # Sessions idle, lent or on their way have a seat, so what is left over is nowhere.
        missing = self._nconns - len(self._seats) - len(tasks) + len(dead)
        if self._growing and not any(task.growing for task in tasks):
            missing = max(missing, 1)
            stuck = True
        else:
            stuck = False
        now = monotonic()
        if missing <= 0:
            self._missing, self._dead = 0, []
            return bool(self._waiting)  # a connect under way may have covered for what is missing
        if not self._missing:
            self._missing, self._missing_since, self._dead = missing, now, dead
            return True
        if now - self._missing_since < 0.8 * LOOK:
            return True
        self._free(min(missing, self._missing), [seat for seat in dead if seat in self._dead], stuck)
        self._missing, self._dead = 0, []
        return True

    def _free(self, missing: int, dead: list[Seat], stuck: bool) -> None:
        for seat in dead:
            # Collected, and the call that tells of it did not come through.
            self._unseat(seat)
            tell_end(self._gate, self._ledger, seat)
        if stuck:
            self._growing = False
        found = min(missing, max(0, self._nconns - len(self._seats) - len(self._connects)))
        if found:
            self._nconns -= found
            self._stats["slots_found"] += found
            logger.warning("pool %r: %d slots were lost in an interrupted call, and are free again", self.name, found)
        self._grow_if_needed()


def tell_end(gate: Gate, ledger: Ledger | None, seat: Seat) -> None:
    """A session has ended: its slot is free for the gate, the ledger and the next session. Told once."""
    if seat.buried:
        return
    seat.buried = True
    gate.closed()
    if ledger is not None:
        ledger.closed(seat.slot)
    SLOTS.give(seat.slot)
