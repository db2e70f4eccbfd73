"""What is proposed: who should take how many slots, what raising max_connections would cost, how large pools be."""

from __future__ import annotations

from pgusher.model.budget import Setting
from pgusher.model.values import dataclass

_SHORT = 60.0
"""Seconds that a pool must have lived for its mean to mean something."""


@dataclass(frozen=True, slots=True)
class Share:
    """What one holder is to have."""

    holder: str
    minimum: int
    """Guaranteed."""
    maximum: int
    wanted: int
    """What it may take now, or had at most where that is not known."""
    known: bool
    """Whether it is known what it may take."""
    processes: int
    why: str
    """Where its minimum is from."""
    roles: tuple[str, ...] = ()
    superuser: bool = False
    settings: tuple[Setting, ...] = ()

    @property
    def changes(self) -> bool:
        """Whether it is to have less than it may take, or a limit for the first time."""
        return self.maximum < self.wanted or not self.known

    def shared_out(self) -> tuple[tuple[Setting, int], ...]:
        """What each of its settings is to be, so that together they give the maximum: none more than it is."""
        told = [int(one.value) if one.value.isascii() and one.value.isdigit() else 0 for one in self.settings]
        if self.known and all(told):
            # One setting may count often, as that of a pooler does for each user: so by what it may take in all.
            whole = max(self.wanted, sum(one.times * value for one, value in zip(self.settings, told, strict=True)))
            parts = [min(value, value * self.maximum // whole) for value in told]
        else:
            equal = [self.maximum // (one.times * len(self.settings)) for one in self.settings]
            parts = [min(value or part, part) for value, part in zip(told, equal, strict=True)]
        return tuple((one, max(1, part)) for one, part in zip(self.settings, parts, strict=True))


@dataclass(frozen=True, slots=True)
class Raise:
    """What raising max_connections would cost, and what speaks against it."""

    to: int
    """What max_connections would have to be; what it is where the proposal fits."""
    more: int
    backend_kb: int
    """Memory that a backend has for itself alone, in kB: what one more slot costs once it is taken."""
    source: str
    against: tuple[str, ...]
    """Why it is not the answer yet; empty when it is."""


@dataclass(frozen=True, slots=True)
class Proposal:
    """Who is to have what on one server, with the arithmetic."""

    server: str
    ordinary: int
    """Slots for ordinary roles."""
    people: int
    deploy: int
    shares: tuple[Share, ...]
    fits: bool
    """Whether at least the minimums do."""
    deploys: str = ""
    """Whose process is the largest that a rolling deploy starts."""
    gives: tuple[str, ...] = ()
    raising: Raise | None = None
    kept: int = 0
    """What limits over several holders keep from the sum of the maximums, where nothing is changed."""

    @property
    def give(self) -> int:
        """What there is to be divided."""
        return self.ordinary - self.people - self.deploy

    @property
    def least(self) -> int:
        """The sum of the minimums."""
        return sum(share.minimum for share in self.shares)

    @property
    def most(self) -> int:
        """The sum of the maximums, below the limits over several holders."""
        return sum(share.maximum for share in self.shares) - self.kept

    @property
    def limits(self) -> tuple[tuple[str, int], ...]:
        """A CONNECTION LIMIT for each role that is used by holders of this proposal: the sum of their maximums.

        Not for a superuser, whom no limit holds, nor where a holder logs in by several roles.
        """
        roles = {role for share in self.shares for role in share.roles}
        found = []
        for role in sorted(roles):
            users = [share for share in self.shares if role in share.roles]
            if all(share.roles == (role,) and not share.superuser for share in users):
                found.append((role, sum(share.maximum for share in users)))
        return tuple(found)


@dataclass(frozen=True, slots=True)
class Size:
    """The pools of one holder, or of one database in it, together."""

    holder: str
    pool: str
    processes: int
    max_size: int
    """Of one process, the largest."""
    used: int
    """The most that were lent at once, the sum over the processes: an upper bound of what they used together."""
    busiest: int
    """The most in one process."""
    loans: int
    per_second: float
    loan_ms: float
    """The mean length of a loan, of those that took a millisecond at least."""
    mean: float
    """Loans at once on average, over all processes, by Little's law."""
    seconds: float
    """How long the youngest of these pools has been measured."""
    proposed: int
    """max_size of one process."""

    @property
    def may(self) -> int:
        """What all its processes may take."""
        return self.max_size * self.processes

    @property
    def at_limit(self) -> bool:
        """A process had all of its pool lent: it might have used more."""
        return self.busiest >= self.max_size

    @property
    def young(self) -> bool:
        """It has not been measured for long enough to conclude from."""
        return self.seconds < _SHORT or not self.loans
