"""What was recorded in the worlds of the pages."""

from __future__ import annotations

from typing import Any

from pgusher.model.address import Micros
from pgusher.model.past import ALL, HOUR, MINUTE, Past, Series


def past_of(told: list[dict[str, Any]], now: Micros) -> Past | None:
    """Each holder's slots, from one number to another in so many minutes; with `tooth` again and again.

    With `days` each day at that time, for so many minutes, and back; `ramp` minutes for the way up. All together are
    the sum of those.
    """
    found = []
    for each in told:
        if "days" not in each:
            first, last, minutes = each["from"], each["to"], each["minutes"]
            tooth = each.get("tooth", minutes)
            numbers = tuple(round(first + (last - first) * (at % tooth + 1) / tooth) for at in range(minutes))
            since = now - minutes * MINUTE
            found.append(Series(each["holder"], since, numbers, numbers, tuple(map(float, numbers))))
    days = [_days(each, now) for each in told if "days" in each]
    if days:
        total = tuple(map(sum, zip(*(series.most for series in days), strict=True)))
        days.insert(0, Series(ALL, days[0].since, total, total, ()))
    since = min(series.since for series in (*found, *days)) if told else now
    return Past(since, now, tuple(found), days=tuple(days)) if told else None


def _days(each: dict[str, Any], now: Micros) -> Series:
    since = now // HOUR * HOUR - each["days"] * 24 * HOUR
    base, top = each["from"], each.get("to", each["from"])
    hours, _, minutes = each.get("at", "00:00").partition(":")
    numbers = []
    for at in range(each["days"] * 1440):
        after = (since // MINUTE + at - int(hours) * 60 - int(minutes)) % 1440
        up = min(1.0, (after + 1) / each.get("ramp", 1)) if after < each.get("minutes", 0) else 0.0
        numbers.append(base + round((top - base) * up))
    return Series(each["holder"], since, tuple(numbers), tuple(numbers), ())
