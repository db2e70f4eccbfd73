"""When a server would be full, by what was recorded of it; and its last hour, as far as it was recorded. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pgusher.diagnose.trend import find_leak
from pgusher.model.address import Micros
from pgusher.model.past import ALL, MINUTE, Past, Series
from pgusher.model.snapshot import Snapshot

_SHARE = 0.05
"""The share of the ordinary slots by which the floor of all must have risen: as the rule leaking-slots."""
_LEAST = 3

Point = tuple[Micros, Mapping[str, int] | None]
"""A minute, and who held how many slots when the most were taken; None: nobody looked."""


def to_full(past: Past, snapshot: Snapshot) -> tuple[float, int] | None:
    """Seconds until the server is full at the rate of its floor, and the minutes over which that rose.

    None where it is not rising steadily, or its ceiling is not known. It sees slow leaks: what fills a server within
    minutes is seen in the newest looks.
    """
    ceilings, total = snapshot.facts.ceilings, past.total
    if ceilings is None or total is None:
        return None
    leak = find_leak(total.least, max(_LEAST, round(_SHARE * ceilings.ordinary)))
    left = ceilings.ordinary - snapshot.taken
    if leak is None or left < 0:
        return None
    return left / leak.per_minute * 60, leak.minutes


def minutes(past: Past, since: Micros, until: Micros) -> tuple[Point, ...]:
    """The minutes between these moments, the oldest first."""
    total = past.total
    if total is None:
        return ()
    first = max(0, -(-(since - total.since) // MINUTE))
    last = min(len(total.most), (until - total.since) // MINUTE)
    others = [one for one in past.series if one.holder != ALL]
    return tuple((total.at(index), shares(total, others, index)) for index in range(first, last))


def shares(total: Series, others: Sequence[Series], index: int) -> dict[str, int] | None:
    """Who held how many slots when the most of a minute were taken; None: nobody looked.

    The most of each holder need not have been at the same moment: a pool that is started anew within a minute would
    be there twice, and more slots taken than there are. What each had all the time is its own; the rest is shared.
    """
    taken = total.most[index]
    if taken is None:
        return None
    most = {one.holder: one.most[index] or 0 for one in others if one.most[index]}
    above = sum(most.values()) - taken
    if above <= 0:
        return most
    moved = {one.holder: most[one.holder] - (one.least[index] or 0) for one in others if one.holder in most}
    whole, gone, found = sum(moved.values()), 0, {}
    for name, moves in moved.items():
        gone += moves
        # What is taken away up to here, rounded: the sum is the very number.
        found[name] = most[name] - (above * gone // whole - above * (gone - moves) // whole if whole else 0)
    return {name: number for name, number in found.items() if number > 0}
