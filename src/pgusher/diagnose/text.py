"""The words of messages: counts, ages and lists."""

from __future__ import annotations

from collections.abc import Iterable

from pgusher.model.address import Micros

SECOND: Micros = 1_000_000
MINUTE: Micros = 60 * SECOND
HOUR: Micros = 3600 * SECOND
DAY: Micros = 86400 * SECOND

WIDTH = 79
"""Columns of a primary line, where no name in it is long. It is never cut: a terminal folds it, a pipe has it whole."""

# A unit is used from twice its size on: "90 min" says more than "1 h".
_UNITS = ((365 * DAY, "year"), (DAY, "day"), (HOUR, "hour"), (MINUTE, "minute"), (SECOND, "second"))


def count(number: int, noun: str, plural: str | None = None) -> str:
    """ "1 slot", "2 slots", "0 processes"."""
    if number == 1:
        return f"1 {noun}"
    return f"{number} {plural or noun + ('es' if noun.endswith('s') else 's')}"


def span(length: Micros) -> str:
    """A length of time in words: "23 days", "90 minutes", "0 seconds"."""
    size, noun = next((unit for unit in _UNITS if length >= 2 * unit[0]), _UNITS[-1])
    return count(max(0, length) // size, noun)


def listed(words: Iterable[object], limit: int = 3) -> str:
    """ "a, b, c and 4 more"."""
    found = [str(word) for word in words]
    if len(found) <= limit:
        return ", ".join(found)
    return f"{', '.join(found[:limit])} and {len(found) - limit} more"


def was(number: int) -> str:
    """ "was" or "were"."""
    return "was" if number == 1 else "were"


def holds(number: int) -> str:
    """ "holds" for one, "hold" for several."""
    return "holds" if number == 1 else "hold"
