"""Counts, ages and times as a person or a program reads them."""

from __future__ import annotations

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
    """The exact time in UTC: "2026-01-24T03:12:00.123456Z"; "" when not known or beyond what four digits can say."""
    if moment is None:
        return ""
    seconds, micros = divmod(moment, 1_000_000)
    days, second = divmod(seconds, _DAY)
    if not _YEAR_1 <= days <= _YEAR_9999:
        return ""
    year, month, day = _civil(days)
    hour, minute = second // 3600, second // 60 % 60
    return f"{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second % 60:02}.{micros:06}Z"


_YEAR_1, _YEAR_9999 = -719_162, 2_932_896
"""The first and the last day of the years 1 to 9999, counted from 1970-01-01."""


def _civil(days: int) -> tuple[int, int, int]:
    """Year, month and day of a day counted from 1970-01-01, without asking a clock or a time zone.

    Source: Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms", civil_from_days.
    """
    era, of_era = divmod(days + 719_468, 146_097)
    year_of_era = (of_era - of_era // 1460 + of_era // 36_524 - of_era // 146_096) // 365
    of_year = of_era - (365 * year_of_era + year_of_era // 4 - year_of_era // 100)
    shifted = (5 * of_year + 2) // 153  # months from March
    month = shifted + 3 if shifted < 10 else shifted - 9
    return year_of_era + era * 400 + (month <= 2), month, of_year - (153 * shifted + 2) // 5 + 1


def listed(words: list[str], limit: int = 3) -> str:
    """ "a, b, c and 4 more"."""
    if len(words) <= limit:
        return ", ".join(words)
    return f"{', '.join(words[:limit])} and {len(words) - limit} more"
