"""Who may hold how many slots of a budget: pure arithmetic that every process does alike, on the same table.

Nobody is asked for permission and there is no leader: each process computes all shares from what all have written
down, takes a slot only below its own share, and gives back what is above it while another is below. The kernel's locks
on the slots keep the total whatever the table says; the table decides only who is next.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple


class Asker(NamedTuple):
    """What one process has and wants."""

    held: int
    """Slots that it holds, the idle ones included."""
    idle: int
    """Those of them that no line of code uses now."""
    waiting: int
    """How many further slots it could use at once."""
    minimum: int = 0
    """Slots that it is to get however many others ask."""

    @property
    def demand(self) -> int:
        """How many slots it could use now."""
        return max(0, self.held - self.idle) + self.waiting


def allot(total: int, askers: Sequence[Asker], epoch: int = 0) -> list[int]:
    """The share of each: equal, but nobody gets more than it can use, and nobody less than its minimum.

    What does not divide evenly goes round: in each epoch others have the one slot more, so that over a few epochs all
    had the same. Few of them change hands at a time, as each change costs a connect. The sum is the smaller of the
    total and all demands.
    """
    demands = [asker.demand for asker in askers]
    if sum(demands) <= total:
        return demands
    floors = [min(asker.minimum, demand) for asker, demand in zip(askers, demands, strict=True)]
    if sum(floors) > total:  # more is guaranteed than there is: the guarantees are shared out like slots
        demands, floors = floors, [0] * len(floors)
    low, high = 0, total
    while low < high:
        level = (low + high + 1) // 2
        if sum(_at(level, demands, floors)) <= total:
            low = level
        else:
            high = level - 1
    shares = _at(low, demands, floors)
    rest = total - sum(shares)
    # Whoever has a higher guarantee than the level has its share already.
    takers = [index for index, demand in enumerate(demands) if demand > low and shares[index] == low]
    if takers and rest:
        step = min(rest, len(takers) - rest, max(1, total // 12))
        start = epoch * step % len(takers)
        for offset in range(rest):
            shares[takers[(start + offset) % len(takers)]] += 1
    return shares


def _at(level: int, demands: Sequence[int], floors: Sequence[int]) -> list[int]:
    return [max(floor, min(demand, level)) for demand, floor in zip(demands, floors, strict=True)]


class Verdict(NamedTuple):
    """What one process is to do."""

    share: int
    """How many slots are its own now."""
    may_take: int
    """How many free slots it may take at once."""
    surplus: int
    """How many of its slots others wait for."""
    urgent: bool
    """Whether one of those has less than half of its share: it is not made to wait as long as for an even change."""
    free: int
    """Free slots by the table."""


def judge(total: int, askers: Sequence[Asker], me: int, epoch: int = 0) -> Verdict:
    """What the process at index `me` is to do."""
    shares = allot(total, askers, epoch)
    free = max(0, total - sum(asker.held for asker in askers))
    short = [max(0, share - asker.held) for share, asker in zip(shares, askers, strict=True)]
    mine, held = shares[me], askers[me].held
    lacking = sum(short) - short[me]
    unserved = max(0, lacking - free)
    surplus = min(max(0, held - max(mine, 0)), unserved)
    urgent = any(
        2 * asker.held < share or asker.held < min(asker.minimum, asker.demand)
        for index, (share, asker) in enumerate(zip(shares, askers, strict=True))
        if index != me and short[index]
    )
    return Verdict(mine, min(short[me], free), surplus, urgent, free)


def neediest(askers: Sequence[Asker], shares: Sequence[int], me: int) -> list[int]:
    """The others that are below their share, the one that has least of it first."""
    short = [index for index, asker in enumerate(askers) if index != me and asker.held < shares[index]]
    return sorted(short, key=lambda index: (askers[index].held / shares[index], index))
