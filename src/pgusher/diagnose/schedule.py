"""How long a schedule leaves between two runs, by our own arithmetic.

cronsim and croniter know the day and the hour of the next run, which asks for the time zone of a cron that may be on
another host. Here only the longest pause is wanted: until it has passed, a run that is still there has an excuse. That
takes no clock, no dependency and a tenth of a millisecond, which a cold command has.
"""

from __future__ import annotations

import re
from itertools import pairwise

from pgusher.diagnose.text import DAY, HOUR, MINUTE, count
from pgusher.model.address import Micros
from pgusher.model.jobs import CronEntry, CronKind

_NICKNAMES = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}
_NAMES = {
    3: ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"),
    4: ("sun", "mon", "tue", "wed", "thu", "fri", "sat"),
}
_RANGES = ((0, 59), (0, 23), (1, 31), (1, 12), (0, 7))
_PART = re.compile(r"(\*|~|\w+)(?:([-~])(\w*))?(?:/(\d{1,4}))?")
_MONTHS = (31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)


def longest_pause(entry: CronEntry) -> Micros | None:
    """The longest time from one start of a job to its next; None where there is none (@reboot, at) or it is not known.

    The change to summer time is not counted: a pause may be an hour longer twice a year.
    """
    if entry.kind is CronKind.AT:
        return None
    schedule = entry.schedule.strip().lower()
    if entry.kind is CronKind.ANACRON:
        return _anacron(schedule)
    if schedule.startswith("@every"):
        return None
    return _longest(_NICKNAMES.get(schedule, schedule))


def shortest_pause(entry: CronEntry) -> Micros | None:
    """The shortest time from one start of a job to its next; None as for `longest_pause`.

    The change to summer time is not counted: a pause may be an hour shorter once a year.
    """
    if entry.kind in {CronKind.AT, CronKind.ANACRON}:
        return longest_pause(entry)
    schedule = entry.schedule.strip().lower()
    fields = _fields(_NICKNAMES.get(schedule, schedule))
    if fields is None or longest_pause(entry) is None:
        return None
    written, (minutes, hours, days, months, weekdays) = fields
    starts = sorted(hour * 60 + minute for hour in hours for minute in minutes)
    within = [b - a for a, b in pairwise(starts)]
    pauses = _days_between(written, days, months, frozenset(day % 7 for day in weekdays))
    over_night = [min(pauses) * 1440 - starts[-1] + starts[0]] if pauses else []
    return min([*within, *over_night]) * MINUTE


def in_words(entry: CronEntry, pause: Micros | None) -> str:
    """How often a job runs: "every 10 minutes", else the schedule as it is written."""
    minute, _, rest = entry.schedule.partition(" ")
    even = rest.split() in (["*"] * 4, ["*/1", "*", "*", "*"])
    if pause is not None and entry.kind is not CronKind.ANACRON and even and re.fullmatch(r"\*(/\d+)?|\d+", minute):
        if pause == MINUTE:
            return "every minute"
        return "every hour" if pause == HOUR else f"every {count(pause // MINUTE, 'minute')}"
    if pause == DAY and re.fullmatch(r"\d+ \d+ \* \* \*|@daily|@midnight", entry.schedule):
        return "every day"
    return f"schedule {entry.schedule}" if entry.schedule else "no schedule"


def _anacron(schedule: str) -> Micros | None:
    period = schedule.split(maxsplit=1)[0] if schedule else ""
    named = {"@daily": 1, "@weekly": 7, "@monthly": 31, "@yearly": 366, "@annually": 366}
    days = named.get(period) or (int(period) if period.isascii() and period.isdigit() and len(period) < 6 else 0)
    return days * DAY if days else None


def _fields(schedule: str) -> tuple[list[str], list[frozenset[int]]] | None:
    """The five fields as written, and the values of each; None when one is not understood."""
    written = schedule.split()
    if len(written) != 5:
        return None
    values = [_values(field, number) for number, field in enumerate(written)]
    found = [frozenset(one) for one in values if one is not None]
    return (written, found) if len(found) == 5 else None


def _longest(schedule: str) -> Micros | None:
    fields = _fields(schedule)
    if fields is None:
        return None
    written, (minutes, hours, days, months, weekdays) = fields
    starts = sorted(hour * 60 + minute for hour in hours for minute in minutes)
    if not starts:
        return None
    within = max((b - a for a, b in pairwise(starts)), default=0)
    over_night = 1440 - starts[-1] + starts[0]
    pauses = _days_between(written, days, months, frozenset(day % 7 for day in weekdays))
    if not pauses:
        return None
    return max(within, over_night + (max(pauses) - 1) * 1440) * MINUTE


def _days_between(
    fields: list[str], days: frozenset[int], months: frozenset[int], weekdays: frozenset[int]
) -> frozenset[int]:
    """How many days there are from one day on which a job runs to the next such day; empty if it never runs twice."""
    # As cron: where one of the two begins with a star both must fit, else one of them (crontab(5)).
    both = fields[2].startswith("*") or fields[4].startswith("*")
    if both and len(days) == 31 and len(months) == 12 and len(weekdays) == 7:
        return frozenset({1})
    found = set()
    today = 0
    last: int | None = None
    # 28 February and the first day of a year's weekday come together again within 12 years at most, leap days apart.
    for year in range(12):
        for month, length in enumerate(_MONTHS, 1):
            for day in range(1, length + (month == 2 and year % 4 == 3) + 1):
                today += 1
                by_day, by_weekday = day in days, today % 7 in weekdays
                if month in months and (by_day and by_weekday if both else by_day or by_weekday):
                    if last is not None:
                        found.add(today - last)
                    last = today
    return frozenset(found)


def _values(field: str, number: int) -> set[int] | None:
    """The values of one field; None when it is not understood (a random "~" is anywhere in its range)."""
    found: set[int] = set()
    for part in field.split(","):
        match = _PART.match(part)
        if match is None:
            return None
        first, mark, last, step = match.groups()
        low, high = _RANGES[number]
        if "~" in (first, mark):
            return None
        if first != "*":
            start = _number(first, number)
            end = _number(last, number) if mark else (high if step else start)
            if start is None or end is None:
                return None
            low, high = start, end
        every = int(step) if step else 1
        if every < 1:
            return None
        found.update(range(low, high + 1, every))
    return found


def _number(word: str | None, number: int) -> int | None:
    if word in _NAMES.get(number, ()):
        return _NAMES[number].index(word or "") + (number == 3)
    low, high = _RANGES[number]
    if not word or not (word.isascii() and word.isdigit()) or len(word) > 4 or not low <= int(word) <= high:
        return None
    return int(word)
