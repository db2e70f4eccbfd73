"""Whether a holder takes more and more slots, and how fast. Pure.

A leak raises the floor: the fewest slots that it has in each part of the time. Work raises the top, and gives back.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from pgusher.model.values import dataclass

_PARTS = 8
_LEAST = 24
"""Minutes that must have been looked at."""
_WINDOWS = (120, 1440)
"""Minutes that are looked at: a fast leak, then a slow one."""
_STEP = 0.5
"""A rise of which more than this share came at once is a step: a deployment, a second worker."""
_GIVEN_BACK = 0.5
"""Who has given back so much of such a rise before, will again."""


@dataclass(frozen=True, slots=True)
class Leak:
    """A floor that rises."""

    per_minute: float
    """Slots."""
    first: int
    """The floor at the beginning, and at the end."""
    last: int
    minutes: int
    """Over which it rose."""


def find_leak(least: Sequence[int | None], rise: int) -> Leak | None:
    """The leak in the fewest slots of each minute (None: nobody looked), if they rose by so many at least."""
    known = [(minute, number) for minute, number in enumerate(least) if number is not None]
    for window in _WINDOWS:
        part = [(minute, number) for minute, number in known if minute >= len(least) - window]
        found = _rising(part, rise)
        if found is not None:
            # What it gave back before counts, in all that is known: then it is a saw, whose teeth end.
            return None if _gave_back([number for _, number in known], found) else found
    return None


def _rising(known: Sequence[tuple[int, int]], rise: int) -> Leak | None:
    if len(known) < _LEAST:
        return None
    size = len(known) / _PARTS
    parts = [known[round(i * size) : round((i + 1) * size)] for i in range(_PARTS)]
    floors = [min(number for _, number in part) for part in parts]
    steps = [after - before for before, after in pairwise(floors)]
    total = floors[-1] - floors[0]
    if total < rise or max(steps) > _STEP * total or min(steps) < 0 or steps[-1] + steps[-2] <= 0:
        return None
    slope = _slope([(_mean([m for m, _ in part]), _mean([n for _, n in part])) for part in parts])
    return Leak(slope, floors[0], floors[-1], known[-1][0] - known[0][0]) if slope > 0 else None


def _slope(points: Sequence[tuple[float, float]]) -> float:
    """The median of the slopes of all pairs (source: Theil 1950, Sen 1968): outliers do not move it."""
    slopes = sorted((b[1] - a[1]) / (b[0] - a[0]) for at, a in enumerate(points) for b in points[at + 1 :])
    return slopes[len(slopes) // 2]


def _gave_back(numbers: Sequence[int], leak: Leak) -> bool:
    highest = most = 0
    for number in numbers:
        highest = max(highest, number)
        most = max(most, highest - number)
    return most >= _GIVEN_BACK * (leak.last - leak.first) and most >= 2 + leak.per_minute


def _mean(numbers: Sequence[int]) -> float:
    return sum(numbers) / len(numbers)
