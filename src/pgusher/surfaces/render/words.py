"""Counts, ages and times as a person or a program reads them."""

from __future__ import annotations

import time

from pgusher.model.address import Micros

_DAY = 86400
# Seconds in one, the age from which it is used, its short and its long name. Days up to two years: "61 d" says more
# than "2 months".
_UNITS = (
    (365 * _DAY, 2 * 365 * _DAY, "y", "year"),
    (_DAY, _DAY, "d", "day"),
    (3600, 3600, "h", "hour"),
    (60, 60, "min", "minute"),
    (1, 0, "s", "second"),
)


def count(number: int, noun: str, plural: str | None = None) -> str:
    """ "1 slot", "2 slots", "0 processes"."""
    if number == 1:
        return f"1 {noun}"
    return f"{number} {plural or noun + ('es' if noun.endswith('s') else 's')}"


def age(since: Micros | None, now: Micros) -> str:
    """How long ago, short: "23 d". "" when not known; a moment in the future (a clock was set) is "0 s"."""
    if since is None:
        return ""
    number, short, _ = _scale(since, now)
    return f"{number} {short}"


def age_in_words(since: Micros, now: Micros) -> str:
    """How long ago, for a sentence: "23 days"."""
    number, _, word = _scale(since, now)
    return count(number, word)


def _scale(since: Micros, now: Micros) -> tuple[int, str, str]:
    seconds = max(0, (now - since) // 1_000_000)
    size, _, short, word = next(unit for unit in _UNITS if seconds >= unit[1])
    return seconds // size, short, word


def iso(moment: Micros | None) -> str:
    """The exact time in UTC: "2026-01-24T03:12:00.123456Z"; "" when not known or beyond what a year can say."""
    if moment is None:
        return ""
    seconds, micros = divmod(moment, 1_000_000)
    try:
        parts = time.gmtime(seconds)
    except (OverflowError, OSError, ValueError):
        return ""
    if not 0 < parts.tm_year < 10000:
        return ""
    return f"{parts.tm_year:04}-{time.strftime('%m-%dT%H:%M:%S', parts)}.{micros:06}Z"


def listed(words: list[str], limit: int = 3) -> str:
    """ "a, b, c and 4 more"."""
    if len(words) <= limit:
        return ", ".join(words)
    return f"{', '.join(words[:limit])} and {len(words) - limit} more"
