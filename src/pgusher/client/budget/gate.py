"""The budget as a pool sees it: a gate before each connect."""

from __future__ import annotations

import time
from collections.abc import Callable

from pgusher.client.budget.member import Member, Wants


class BudgetGate:
    """Lets a pool connect as long as the budget has a slot for this process. A `pgusher.client.gate.Gate`."""

    def __init__(self, member: Member, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._member = member
        self._wants = Wants()
        self._monotonic = monotonic
        self.pressed = False
        member.join(self._wants)

    @property
    def budget(self) -> tuple[str, int]:
        """Its name, and its total on this host."""
        return self._member.name, self._member.total

    def holders(self, now: float) -> tuple[int, list[tuple[int, int]]]:
        """Slots of this process, and pid and slots of the others that have some, the most first. Raises BudgetError."""
        others = [(one.pid, one.held) for one in self._member.others(now) if one.held]
        return self._member.held, sorted(others, key=lambda one: -one[1])

    def may_connect(self, now: float) -> float:
        """0.0 when a slot was taken, else seconds until to ask again."""
        delay = self._member.take(self._wants, now)
        self.pressed = self._member.presses(self._wants)
        return delay

    def room(self, now: float) -> None:
        """The session is made; its slot was taken before."""

    def refused(self, now: float) -> None:
        """The server is full: the slot is free again."""
        self._member.release(self._wants, now)

    def failed(self, now: float) -> None:
        """The connect failed: the slot is free again."""
        self._member.release(self._wants, now)

    def closed(self) -> None:
        """A session ended: its slot is free again."""
        self._member.release(self._wants, self._monotonic())

    def give_back(self, now: float, made: float) -> bool:
        """Whether a session that is idle now goes to those who wait in other processes, or in other pools of ours."""
        given = self._member.spare(self._wants, now, made)
        self.pressed = self._member.presses(self._wants)
        return given

    def tick(self, now: float, size: int, idle: int, waiting: int) -> None:  # noqa: ARG002 - as the protocol has it
        """How the pool stands."""
        self._member.tick(self._wants, now, idle, waiting)
        self.pressed = self._member.presses(self._wants)

    def forked(self) -> None:
        """The child of a fork has nothing yet. The member has forgotten the parent's slots by then, see `Budget`."""
        self.pressed = False
