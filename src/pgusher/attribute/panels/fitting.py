"""Whether a text is what a template makes, and what the template's holes then hold."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from pgusher.attribute.panels.holes import DATA, FIXED, LOOSE, TESTS, WILD, plain

_END = "\x04"
_NOTHING = "\x02;\x04"
"""What may follow the end of a statement: semicolons."""
_TRIES = 30
"""Stretches that are looked for a second time, further on, before a text is given up: time is bounded."""


class Fitted(NamedTuple):
    """How a text is made by a template."""

    known: int
    """Signs of the text that the template knows."""
    words: int
    """Whole words among them, also those of a statement's frame."""
    strange: int
    """Signs in holes that do not look like a variable's values."""
    odd: bool
    """A variable of which nothing else is known would stand for more than values: a condition, a call."""
    sql: bool
    """A variable that is known to hold SQL does."""


def fit(known: tuple[str, ...], holes: tuple[str, ...], query: str, *, cut: bool, wild: bool) -> Fitted | None:
    """See `Template.fits`.

    Each stretch is looked for where it stands first. Where what follows then does not fit, the last one that stands
    again further on is tried there.
    """
    first = known[0]
    if not query.startswith(first):
        return _fitted([query], [], wild) if cut and query and first.startswith(query) else None
    last, size = len(known) - 1, len(query)
    if last == 0:
        over = query[len(first) :]
        return _fitted([first], [], wild) if over.strip(_NOTHING) == "" else None
    taken: list[tuple[int, int]] = []  # for each hole so far where it begins, and where its stretch does
    at = start = len(first)
    tries = 0
    while True:
        number = len(taken) + 1
        stretch, test = known[number], TESTS[WILD if wild else holes[number]]
        if number == last:
            found = size - len(stretch)
            if found < start or not query.endswith(stretch):
                found = -1
        else:
            found = query.find(stretch, start)
        if found >= 0 and test(query[at:found]):
            taken.append((at, found))
            if number == last:
                return _told(known, holes, query, taken, size, wild)
            at = start = found + len(stretch)
            continue
        if cut:
            end = _tail(query, at, stretch, test)
            if end is not None:
                return _told(known, holes, query, [*taken, (at, end)], size, wild)
        tries += 1
        if not taken or tries > _TRIES:
            return None
        at, found = taken.pop()
        start = found + 1


def _tail(query: str, at: int, stretch: str, test: Callable[[str], bool]) -> int | None:
    """Where the stretch begins in which the query was cut; its end where it was cut in the hole before."""
    start = max(at, len(query) - len(stretch) + 1)
    while stretch and (start := query.find(stretch[0], start)) >= 0:
        if stretch.startswith(query[start:]) and test(query[at:start]):
            return start
        start += 1
    return len(query) if test(query[at:]) else None


def _told(
    known: tuple[str, ...], holes: tuple[str, ...], query: str, taken: list[tuple[int, int]], size: int, wild: bool
) -> Fitted:
    seen, held = [known[0]], []
    for number, (at, found) in enumerate(taken, 1):
        held.append((holes[number], query[at:found]))
        seen.append(query[found : min(size, found + len(known[number]))])
    return _fitted(seen, held, wild)


def _fitted(seen: list[str], held: list[tuple[str, str]], wild: bool) -> Fitted:
    strange, odd, sql = 0, False, False
    for kind, text in held:
        if kind in FIXED and not wild:
            continue
        good = plain(text) if kind in {DATA, LOOSE, WILD} else TESTS[kind](text)
        if not good:
            strange += len(text)
            odd = odd or kind == DATA
            sql = sql or (kind == WILD and not TESTS[DATA](text))
    return Fitted(sum(map(len, seen)), sum(part.count(_END) for part in seen), strange, odd, sql)
