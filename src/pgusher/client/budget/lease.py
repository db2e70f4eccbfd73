"""Slots of a budget for something that is no pool: a whole program, before it starts. All of them, or none."""

from __future__ import annotations

import time
from collections.abc import Callable

from pgusher.client.budget.member import Member, Wants

_FIRST_WORDS = 2.0
"""Seconds of waiting after which it is told."""


class Holding:
    """A process that has slots of the budget."""

    __slots__ = ("held", "pid")

    def __init__(self, pid: int, held: int) -> None:
        self.pid = pid
        self.held = held


class Lease:
    """`count` slots, from `take` until `close` or the end of this process, however it ends."""

    def __init__(
        self,
        member: Member,
        count: int,
        *,
        monotonic: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.count = count
        self.name = member.name
        self.total = member.total
        self._member = member
        self._wants = Wants(whole=True)
        self._monotonic = monotonic
        self._sleep = sleep
        member.join(self._wants)

    def take(self, patience: float | None, waits: Callable[[], None] = lambda: None) -> float | None:
        """Seconds that it took to have them all; None when they were not to be had within `patience` seconds.

        None of `patience` is for ever; `waits` is called once, when it takes long. Others are asked to give back what
        they have idle, and beyond their share, as they are for a pool.
        """
        began = now = self._monotonic()
        told = False
        while (delay := self._try(now)) > 0.0:
            waited = self._monotonic() - began
            if patience is not None and waited >= patience:
                self.close()
                return None
            if not told and waited >= _FIRST_WORDS:
                told = True
                waits()
            self._sleep(delay)
            now = self._monotonic()
        return now - began

    def _try(self, now: float) -> float:
        """0.0 when all are ours, else seconds until to ask again."""
        self._wants.waiting = self.count
        for _ in range(self.count):
            delay = self._member.take(self._wants, now)
            if delay > 0.0:
                # Not some of them: two that wait for each other's half would wait for ever.
                for _ in range(self._wants.held):
                    self._member.release(self._wants, now)
                self._member.tick(self._wants, now, 0, self.count)
                return delay
        return 0.0

    def holders(self) -> list[Holding]:
        """Who has slots of it, those with most first."""
        found = [Holding(one.pid, one.held) for one in self._member.others(self._monotonic()) if one.held]
        return sorted(found, key=lambda one: -one.held)

    def close(self) -> None:
        """They are free again."""
        now = self._monotonic()
        for _ in range(self._wants.held):
            self._member.release(self._wants, now)
        self._member.tick(self._wants, now, 0, 0)
