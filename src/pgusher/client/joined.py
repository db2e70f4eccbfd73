"""A budget and the knowledge that a server is full, as one gate."""

from __future__ import annotations

from pgusher.client.budget.gate import BudgetGate
from pgusher.client.host_full import HostGate


class JoinedGate:
    """Lets a pool connect when the budget has a slot for it and the server is not known to be full."""

    def __init__(self, host: HostGate, budget: BudgetGate) -> None:
        self._host = host
        self._budget = budget
        self.pressed = False

    @property
    def budget(self) -> tuple[str, int]:
        """The budget's name, and its total on this host."""
        return self._budget.budget

    def holders(self, now: float) -> tuple[int, list[tuple[int, int]]]:
        """Who has the budget's slots. Raises BudgetError."""
        return self._budget.holders(now)

    def may_connect(self, now: float) -> float:
        """Seconds until to ask again; 0.0: a slot of the budget is taken, connect now."""
        # Asked first without taking anything: while the server is full, no slot goes back and forth.
        if delay := self._host.wait(now):
            return delay
        delay = self._budget.may_connect(now)
        if delay == 0.0 and (delay := self._host.may_connect(now)):
            self._budget.failed(now)  # another process was quicker to ask
        self.pressed = self._budget.pressed
        return delay

    def room(self, now: float) -> None:
        """The connect worked."""
        self._host.room(now)
        self._budget.room(now)

    def refused(self, now: float) -> None:
        """The server is full."""
        self._host.refused(now)
        self._budget.refused(now)

    def failed(self, now: float) -> None:
        """The connect failed for another reason."""
        self._host.failed(now)
        self._budget.failed(now)

    def closed(self) -> None:
        """A session has ended."""
        self._budget.closed()
        self._host.closed()

    def give_back(self, now: float, made: float) -> bool:
        """Whether an idle session goes to those who wait in other processes."""
        given = self._budget.give_back(now, made)
        self.pressed = self._budget.pressed
        return given

    def tick(self, now: float, size: int, idle: int, waiting: int) -> None:
        """How the pool stands."""
        self._budget.tick(now, size, idle, waiting)
        self.pressed = self._budget.pressed

    def forked(self) -> None:
        """The child of a fork has nothing yet."""
        self._host.forked()
        self._budget.forked()
        self.pressed = False
