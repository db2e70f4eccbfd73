"""From lives to figures: how many there were at once, in each minute or hour. Pure.

A life covers [since, until), a span the time in which somebody looked; what lies outside of all spans is not known.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from operator import itemgetter

ALL = 0
"""The number under which all holders together stand."""


class Buckets:
    """The figures of one holder, one of each a bucket: the fewest, the most, and the slots times milliseconds."""

    __slots__ = ("ended", "least", "most", "most_at", "opened", "slot_ms")

    def __init__(self, size: int) -> None:
        self.least: list[int | None] = [None] * size
        self.most: list[int | None] = [None] * size
        self.most_at = [0] * size
        """When it was first so many."""
        self.slot_ms = [0] * size
        self.opened = self.ended = 0

    def add(self, at: int, index: int, number: int, length: int) -> None:
        """So many there were for so many milliseconds from `at` on, all of them in one bucket."""
        most, least = self.most[index], self.least[index]
        if most is None or number > most:
            self.most[index], self.most_at[index] = number, at
        if least is None or number < least:
            self.least[index] = number
        self.slot_ms[index] += number * length


def seen(spans: Iterable[tuple[int, int]], begin: int, step: int, size: int) -> list[int]:
    """Milliseconds of each bucket in which somebody looked."""
    found = [0] * size
    for first, last in spans:
        for _, index, length in _pieces(max(first, begin), min(last, begin + size * step), begin, step):
            found[index] += length
    return found


def sweep(
    lives: Iterable[tuple[int, int, int | None]], spans: Sequence[tuple[int, int]], begin: int, step: int, size: int
) -> dict[int, Buckets]:
    """The figures of each holder, and those of `ALL`, over `size` buckets of `step` milliseconds from `begin` on.

    `lives` are (holder, since, until), with None for one that lasts. `spans` are in order and do not overlap.
    """
    end = begin + size * step
    events: dict[int, list[tuple[int, int]]] = {ALL: []}
    churn: dict[int, list[int]] = {}
    # What was there at the first look was not opened then.
    there = {first for first, _ in spans if first > begin}
    for holder, since, until in lives:
        told = ((since, 1), (until, -1)) if until is not None else ((since, 1),)
        events.setdefault(holder, []).extend(told)
        events[ALL].extend(told)
        for key in (holder, ALL):
            counts = churn.setdefault(key, [0, 0])
            counts[0] += begin <= since < end and since not in there
            counts[1] += until is not None and begin <= until < end
    found = {}
    for holder, happened in events.items():
        happened.sort(key=itemgetter(0))
        found[holder] = buckets = Buckets(size)
        buckets.opened, buckets.ended = churn.get(holder, (0, 0))
        _count(buckets, happened, spans, begin, step, size)
    return found


def _count(
    buckets: Buckets,
    events: Sequence[tuple[int, int]],
    spans: Sequence[tuple[int, int]],
    begin: int,
    step: int,
    size: int,
) -> None:
    number, place, total = 0, 0, len(events)
    for first, end in spans:
        at, last = max(first, begin), min(end, begin + size * step)
        while at < last:
            while place < total and events[place][0] <= at:
                number += events[place][1]
                place += 1
            until = min(last, events[place][0]) if place < total else last
            for start, index, length in _pieces(at, until, begin, step):
                buckets.add(start, index, number, length)
            at = until


def _pieces(at: int, until: int, begin: int, step: int) -> Iterable[tuple[int, int, int]]:
    """[at, until) cut at the borders of buckets: where each piece begins, its bucket, and its length."""
    while at < until:
        index = (at - begin) // step
        border = min(until, begin + (index + 1) * step)
        yield at, index, border - at
        at = border
