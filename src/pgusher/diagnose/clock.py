"""Whether a holder takes more slots at the same time each day, or every so many minutes. Pure.

A rise is one within minutes, of what it had before. One that comes by the clock comes again within minutes of the same
time of the day; load that people make does not.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise

from pgusher.model.address import Micros
from pgusher.model.past import MINUTE, Series
from pgusher.model.values import dataclass

DAY_MINUTES = 1440
_BEFORE, _RAMP = 3, 10
"""Minutes before a rise that it is compared with, and in which it reaches its height."""
_NEAR = 10
"""Minutes by which the times of a daily rise differ at most."""
_LEAST_DAYS = 3
_SHARE = 0.75
"""Of the days on which somebody looked at that time."""
_TIMES = 4
"""Times of a day; who rises at more of them rises all day."""
_LEAST_TURNS = 8
"""Rises after which "every ten minutes" is more than chance."""
_REGULAR = 0.8
"""The share of the pauses between rises that must be alike, and by how much they may differ."""
_ALIKE = 0.1


@dataclass(frozen=True, slots=True)
class Rise:
    """One rise."""

    at: int
    """The minute of the series in which it began."""
    slots: int
    minutes: int
    """Until it had given half of them back; up to the end of what is known."""


@dataclass(frozen=True, slots=True)
class Clock:
    """Rises that come by the clock."""

    rises: tuple[Rise, ...]
    slots: int
    """By how many it rises; the median, as for `minutes`."""
    minutes: int
    """How long it lasts."""
    minute: int = 0
    """Of the day, in local time: 480 is 08:00."""
    looked: int = 0
    """Days on which somebody looked at that time."""
    working: bool = False
    """It comes from Monday to Friday only."""
    every: int | None = None
    """Minutes between two of them; None for one that comes at a time of the day."""


def find_clocks(series: Series, offset: int, rise: int) -> tuple[Clock, ...]:
    """The times of the day at which it rises by so many slots, the highest rise first. `offset`: seconds before UTC."""
    rises = list(_rises(series.most, rise))
    zero = (series.since // MINUTE) + offset // 60
    found: list[Clock] = []
    left = rises
    while len(left) >= _LEAST_DAYS and len(found) <= _TIMES:
        clock = _daily(series.most, left, zero)
        if clock is None:
            break
        found.append(clock)
        left = [one for one in left if _apart(zero + one.at, clock.minute) > _NEAR]
    every = _regular(rises)
    if every is not None or len(found) > _TIMES:
        return (every,) if every is not None else ()
    return tuple(sorted(found, key=lambda clock: -clock.slots))


def next_time(clock: Clock, series: Series, now: Micros, offset: int) -> Micros:
    """When it is to be expected next."""
    if clock.every is not None:
        last = series.at(clock.rises[-1].at)
        pause = clock.every * MINUTE
        return last + max(1, -(-(now - last) // pause)) * pause
    day = DAY_MINUTES * MINUTE
    local = now + offset * 1_000_000
    at = local - local % day + clock.minute * MINUTE
    at += day if at <= local else 0
    while clock.working and _weekday(at // day) >= 5:
        at += day
    return at - offset * 1_000_000


def _rises(most: Sequence[int | None], rise: int) -> Iterator[Rise]:
    at = _BEFORE
    while at < len(most):
        now, last = most[at], most[at - 1]
        if now is None or (last is not None and now <= last):
            at += 1
            continue
        before = [number for number in most[at - _BEFORE : at] if number is not None]
        if not before or now <= max(before):
            at += 1
            continue
        base = max(before)
        ramp: list[int] = []
        for number in most[at : at + _RAMP]:
            if number is not None and ramp and max(ramp) - base >= rise and number <= base + (max(ramp) - base) / 2:
                break  # it has given back already: what follows is another one
            ramp.append(number if number is not None else -1)
        top = max(ramp)
        if top - base < rise:
            at += 1
            continue
        # What was there before its first quarter was chance; and it lasts until it has given half of it back.
        begin = at + next(i for i, number in enumerate(ramp) if number - base >= (top - base) / 4)
        end = at + ramp.index(top) + 1
        while end < len(most) and ((number := most[end]) is None or number > base + (top - base) / 2):
            end += 1
        yield Rise(begin, top - base, end - begin)
        at = end


def _daily(most: Sequence[int | None], rises: Sequence[Rise], zero: int) -> Clock | None:
    """The time of the day at which it rises on most days; None when there is none."""
    best: tuple[int, int, list[Rise]] = (0, 0, [])
    for minute in sorted({(zero + one.at) % DAY_MINUTES for one in rises}):
        near = [one for one in rises if _apart(zero + one.at, minute) <= _NEAR]
        by_day: dict[int, Rise] = {}
        for one in near:
            day = (zero + one.at + DAY_MINUTES // 2 - minute) // DAY_MINUTES
            if day not in by_day or one.slots > by_day[day].slots:
                by_day[day] = one
        spread = -sum(_apart(zero + one.at, minute) for one in by_day.values())
        if (len(by_day), spread) > best[:2]:
            best = len(by_day), spread, list(by_day.values())
    if best[0] < _LEAST_DAYS:
        return None
    chosen = best[2]
    middle = (zero + chosen[0].at) % DAY_MINUTES
    offsets = [(zero + one.at - middle + DAY_MINUTES // 2) % DAY_MINUTES - DAY_MINUTES // 2 for one in chosen]
    minute = (middle + _median(offsets)) % DAY_MINUTES
    looked = _looked(most, zero, minute)
    risen = {(zero + one.at + _NEAR) // DAY_MINUTES for one in chosen}
    working = not any(_weekday(day) >= 5 for day in risen) and any(_weekday(day) >= 5 for day in looked)
    days = {day for day in looked if not working or _weekday(day) < 5}
    if len(chosen) < _SHARE * len(days):
        return None
    slots, minutes = (_median(values) for values in zip(*((r.slots, r.minutes) for r in chosen), strict=True))
    return Clock(tuple(chosen), slots, minutes, minute, max(len(days), len(chosen)), working)


def _looked(most: Sequence[int | None], zero: int, minute: int) -> set[int]:
    """The days on which somebody looked before that time and at it."""
    found = set()
    for at in range((minute - zero) % DAY_MINUTES, len(most), DAY_MINUTES):
        around = most[max(0, at - _NEAR - _BEFORE) : at + _NEAR + 1]
        if at >= _BEFORE and sum(number is not None for number in around) >= len(around) * 0.8:
            found.add((zero + at + _NEAR) // DAY_MINUTES)
    return found


def _regular(rises: Sequence[Rise]) -> Clock | None:
    if len(rises) < _LEAST_TURNS:
        return None
    pauses = [after.at - before.at for before, after in pairwise(rises)]
    every = _median(pauses)
    alike = sum(abs(pause - every) <= max(1, every * _ALIKE) for pause in pauses)
    if alike < _REGULAR * len(pauses) or every >= DAY_MINUTES // 2:
        return None
    slots, minutes = (_median(values) for values in zip(*((r.slots, r.minutes) for r in rises), strict=True))
    return Clock(tuple(rises), slots, minutes, every=every)


def _median(numbers: Sequence[int]) -> int:
    return sorted(numbers)[len(numbers) // 2]  # the module statistics takes 20 ms to load


def _apart(one: int, other: int) -> int:
    """Minutes between two times of the day."""
    apart = (one - other) % DAY_MINUTES
    return min(apart, DAY_MINUTES - apart)


def _weekday(day: int) -> int:
    """Of a day since 1970, which began with a Thursday: 0 is Monday."""
    return (day + 3) % 7
