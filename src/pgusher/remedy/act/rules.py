"""How far acting goes: a cap on how many, and a stop when too much is refused. Pure."""

from __future__ import annotations

from pgusher.model.plan import OutcomeKind, Step
from pgusher.remedy.act.result import Result

IN_A_ROW = 5
"""So many steps refused one after the other end it: the plan is of another time."""
TRIED = 10
"""From so many steps on, more than half of them refused end it as well."""


class Brake:
    """Counts steps, in their order, and says when to stop. What is gone already counts for nothing."""

    def __init__(self, most: int | None = None) -> None:
        """`most`: sessions and processes that may be ended; None for all that the plan has."""
        self._most = most
        self._taken = 0
        self._tried = 0
        self._refused = 0
        self._row = 0
        self._why: str | None = None

    @property
    def stopped(self) -> Result | None:
        """Why nothing is tried any more."""
        if self._why is None:
            return None
        return Result(OutcomeKind.SKIPPED, self._why, "make a new plan: too much has changed since this one")

    def late(self, refused: int) -> None:
        """So many of those that nothing spoke against were refused all the same when it came to it."""
        self._refused += refused
        self._row = refused or self._row
        self._judge()

    def skip(self, step: Step) -> Result | None:
        """Why a step is not tried any more; None when it is."""
        if self.stopped is not None:
            return self.stopped
        if self._most is not None and self._taken + weight(step) > self._most:
            return Result(
                OutcomeKind.SKIPPED, f"it would be over the cap of {self._most}", "apply the plan again for the rest"
            )
        return None

    def tried(self, step: Step, result: Result | None) -> None:
        """Count a step that was looked at, or done: `result` is None when nothing speaks against it."""
        kind = None if result is None else result.kind
        if kind in {OutcomeKind.GONE, OutcomeKind.SKIPPED}:
            return
        self._tried += 1
        if kind is OutcomeKind.REFUSED:
            self._refused += 1
            self._row += 1
        else:
            self._row = 0
            self._taken += weight(step)
        self._judge()

    def _judge(self) -> None:
        if self._row >= IN_A_ROW:
            self._why = f"{self._row} steps before it were refused in a row"
        elif self._tried >= TRIED and self._refused * 2 > self._tried:
            self._why = f"{self._refused} of {self._tried} steps before it were refused"


def weight(step: Step) -> int:
    """How many of what a cap counts a step is: the sessions that it ends, at least one."""
    return max(1, len(step.sessions)) if step.lever.value not in {"limit", "timeouts", "source"} else 0
