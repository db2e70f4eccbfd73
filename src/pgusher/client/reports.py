"""What a pool says: to a caller that waited in vain, of loans that are old or lost, and in figures."""

from __future__ import annotations

import logging
from time import monotonic
from typing import Any

from psycopg_pool import PoolTimeout
from psycopg_pool.base import BasePool

from pgusher.client.loans import Seat, longest, now_at
from pgusher.client.stats import Waits

logger = logging.getLogger("pgusher.pool")
pool_logger = logging.getLogger("psycopg.pool")

ZEROS = dict.fromkeys(
    (
        "connections_refused",
        "generations_dropped",
        "loans_forgotten",
        "loans_long",
        "loans_reclaimed",
        "requests_timeouts",
        "slots_found",
    ),
    0,
)
"""Counters of ours that nothing has counted yet: psycopg_pool leaves such ones out."""
_OTHERS = 5
"""Processes that are named one by one."""


class Reports(BasePool):
    """The part of a pool that tells."""

    _waiting: Any
    _out: dict[int, Seat]
    _waits: Waits
    _last_error: BaseException | None
    _gate: Any
    _failure_said: tuple[str, float] = ("", 0.0)
    """The last failure that was told, and when."""

    def _log_failure(self, error: BaseException) -> None:
        """As psycopg_pool does; what stays the same is told again after ten seconds only."""
        now, text = monotonic(), str(error)
        said, since = self._failure_said
        again = said == text and now - since < 10.0
        if not again:
            self._failure_said = (text, now)
        pool_logger.log(logging.DEBUG if again else logging.WARNING, "error connecting in %r: %s", self.name, text)

    def _timed_out(self, timeout: float) -> PoolTimeout:
        """The error of a caller whose time is up: who has the sessions, and why there are no more."""
        now = monotonic()
        out = list(self._out.values())
        lines = [
            (
                f"couldn't get a connection after {timeout:.2f} sec: pool {self.name!r} has {self._nconns} of at most "
                f"{self._max_size} sessions, {len(out)} of them lent, and {len(self._waiting)} more callers waiting"
            ),
            *(f"  lent for {line}" for line in longest(out, now)),
        ]
        lines += self._budget_lines(now)
        if self._last_error is not None:
            lines.append(f"  last connect error: {self._last_error}")
        error = PoolTimeout("\n".join(lines))
        error.__cause__ = self._last_error
        error.__suppress_context__ = True
        return error

    def _budget_lines(self, now: float) -> list[str]:
        """Who has the slots of the budget, where there is one."""
        holders = getattr(self._gate, "holders", None)
        if holders is None:
            return []
        try:
            name, total = self._gate.budget
            own, others = holders(now)
        except Exception:  # noqa: BLE001 - whatever is wrong with its file, the caller is told that his time is up
            return []
        parts = [f"{own} by this process", *(f"{held} by pid {pid}" for pid, held in others[:_OTHERS])]
        if len(others) > _OTHERS:
            parts.append(f"{sum(held for _, held in others[_OTHERS:])} by {len(others) - _OTHERS} more")
        taken = own + sum(held for _, held in others)
        return [f"  budget {name!r}: {taken} of {total} slots of this host are taken, {', '.join(parts)}"]

    def _tell_long(self, seat: Seat, now: float) -> None:
        if not seat.told & 1:
            seat.told |= 1
            self._stats["loans_long"] += 1
            logger.warning(
                "pool %r: a loan to %s is %.1f s old; borrowed at %s, now at %s",
                self.name,
                seat.who,
                now - seat.since,
                seat.place,
                now_at(seat) or "no line of its own",
            )

    def _tell_handed_on(self, seat: Seat) -> None:
        seat.look_after = monotonic() + 10.0  # a look walks over all objects of the interpreter
        if not seat.told & 2:
            seat.told |= 2
            logger.warning(
                "pool %r: %s ended with a loan, borrowed at %s, that something else uses still",
                self.name,
                seat.who,
                seat.place,
            )

    def _tell_reclaimed(self, seat: Seat) -> None:
        logger.warning(
            "pool %r: %s ended with a loan of %.1f s, borrowed at %s; its session is closed, the slot is free",
            self.name,
            seat.who,
            monotonic() - seat.since,
            seat.place,
        )

    def _tell_forgotten(self, seat: Seat) -> None:
        logger.warning(
            "pool %r: %s forgot a loan of %.1f s, borrowed at %s; the slot is free",
            self.name,
            seat.who,
            monotonic() - seat.since,
            seat.place,
        )

    def _get_measures(self) -> dict[str, int]:
        measured = super()._get_measures()
        out = [seat.since for seat in list(self._out.values()) if seat.since]
        measured["loans_out"] = len(out)
        measured["loans_oldest_ms"] = int(1000 * (monotonic() - min(out))) if out else 0
        return measured

    def get_stats(self) -> dict[str, int]:
        """psycopg_pool's figures and more.

        `loans_out` and `loans_oldest_ms` (of those that are out), `loans_long` (told because of their age),
        `loans_reclaimed` (their thread or task had ended), `loans_forgotten` (nobody had them any more),
        `connections_refused` (the server was full), `generations_dropped`, `requests_timeouts`, and the waits of the
        callers as a cumulative histogram: `waits_le_1ms` ... `waits_le_30000ms`, `waits`.
        """
        return {**ZEROS, **super().get_stats(), **self._waits.measured()}

    def pop_stats(self) -> dict[str, int]:
        """The same, and all counters are reset to zero."""
        found = {**ZEROS, **super().pop_stats(), **self._waits.measured()}
        self._waits = Waits()
        return found
