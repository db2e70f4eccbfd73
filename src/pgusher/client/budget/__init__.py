"""A budget: the slots of a server that a service may take, summed over all its processes on this host.

It is kept before connecting, so the server never has to refuse. A slot is a lock of the kernel: a process that is
killed leaves none behind. See docs/budget.md.
"""

from __future__ import annotations

import os
import re
import threading
from typing import TYPE_CHECKING

from pgusher.client.budget.gate import BudgetGate
from pgusher.client.budget.member import BudgetError, Member
from pgusher.client.budget.table import MOST_SLOTS

if TYPE_CHECKING:  # a pool has a gate
    from pgusher.client.budget.lease import Lease

__all__ = ["Budget", "BudgetError", "BudgetGate"]

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")

_members: dict[tuple[str, str], Member] = {}
_lock = [threading.Lock()]  # in a list, so that the child of a fork can have a new one


class Budget:
    """At most `total` sessions in all processes of this host that name this budget.

        db = pgusher.Database("orders", budget=pgusher.Budget("web", 40))

    Each process gets an equal share of it, as far as it can use one; what others leave is for whoever wants it. When
    others wait, a process that has more than its share gives sessions back as they become idle, none that is younger
    than `min_hold` seconds (a tenth of a second when another has less than half of its share). `minimum` is what this
    process is to get however many others there are.

    The processes meet in `directory`: by default one of this user's own, or /run/pgusher where an administrator made
    that for several users (docs/budget.md). All pools of one process that name it share it.

    Without a total it is what this host may have of [budget.NAME] in the configuration, see `pgusher.client.named`.

    Raises BudgetError when it cannot be kept: the numbers make no sense, or the directory cannot be used; ConfigError
    when it has no total, or a wrong one.
    """

    def __init__(
        self,
        name: str,
        total: int | None = None,
        *,
        minimum: int = 0,
        directory: str | os.PathLike[str] | None = None,
        min_hold: float = 1.0,
    ) -> None:
        if not _NAME.fullmatch(name):
            raise BudgetError(
                f"budget {name[:40]!r}: not a name", hint="a name has letters, digits and . _ - only, 64 at most"
            )
        if total is None:
            from pgusher.client import named  # late: who says the total needs no configuration

            found = named.budget(name)
            total, minimum = found.total, minimum or found.minimum
            directory = found.directory if directory is None else directory
        if not 1 <= total <= MOST_SLOTS:
            raise BudgetError(f"budget {name!r}: a total of {total} is not between 1 and {MOST_SLOTS}")
        if not 0 <= minimum <= total:
            raise BudgetError(f"budget {name!r}: a minimum of {minimum} is not between 0 and its total of {total}")
        place = None if directory is None else os.path.abspath(os.fspath(directory))
        self.name = name
        with _lock[0]:
            member = _members.get((place or "", name))
            if member is None:
                member = _members[place or "", name] = Member(name, total, minimum, place, min_hold)
            elif (member.total, member.minimum) != (total, minimum):
                raise BudgetError(
                    f"budget {name!r}: two totals in one process, {member.total} and {total}",
                    detail=f"the minimum is {member.minimum} and {minimum}",
                )
            self._member = member

    @property
    def total(self) -> int:
        """Sessions in all processes together."""
        return self._member.total

    @property
    def held(self) -> int:
        """Sessions that this process has now, of those."""
        return self._member.held

    @property
    def share(self) -> int:
        """How many were its share when it last looked."""
        return self._member.share

    def lease(self, count: int) -> Lease:
        """So many slots for something that is no pool, to be taken all at once. Raises BudgetError for too many."""
        from pgusher.client.budget.lease import Lease

        if not 1 <= count <= self.total:
            raise BudgetError(f"budget {self.name!r}: {count} slots are not between 1 and its total of {self.total}")
        return Lease(self._member, count)

    def gate(self) -> BudgetGate:
        """What a pool asks before each connect."""
        return BudgetGate(self._member)


def _forked() -> None:
    _lock[0] = threading.Lock()
    for member in _members.values():
        member.forget()


os.register_at_fork(after_in_child=_forked)
