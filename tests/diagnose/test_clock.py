"""Rises by the clock are found, with their time; chance, people's load and single events are none."""

from __future__ import annotations

import math
import random

import pytest

from pgusher.diagnose.clock import DAY_MINUTES, find_clocks, next_time
from pgusher.model.past import MINUTE, Series

RISE = 10
MONDAY = 20_549 * DAY_MINUTES
"""2026-04-06, in minutes."""


def series(most: list[int | None], first: int = MONDAY) -> Series:
    return Series("cron/report", first * MINUTE, tuple(most), tuple(most), ())


def load(days: int, chance: random.Random, base: int = 5, noise: int = 2) -> list[int | None]:
    return [base + chance.randint(0, noise) for _ in range(days * DAY_MINUTES)]


def add(most: list[int | None], at: int, slots: int, minutes: int, ramp: int = 1) -> None:
    for i in range(minutes):
        number = most[at + i] if at + i < len(most) else None
        if number is not None:
            most[at + i] = number + min(slots, slots * (i + 1) // ramp)


@pytest.mark.parametrize("seed", range(20))
def test_a_daily_rise_is_found_with_its_time_and_size(seed: int) -> None:
    chance = random.Random(seed)
    days, minute = chance.randint(4, 14), chance.randint(0, DAY_MINUTES - 1)
    slots, lasts = chance.randint(15, 60), chance.randint(15, 90)
    most = load(days, chance)
    for day in range(days):
        if days < 8 or day % 7 != 3:
            add(most, day * DAY_MINUTES + minute + chance.randint(-2, 2), slots, lasts, chance.randint(1, 4))
    for at in chance.sample(range(len(most)), 200):
        most[at] = None  # nobody looked
    (clock,) = find_clocks(series(most[: days * DAY_MINUTES]), 0, RISE)
    assert (clock.minute - minute + 5) % DAY_MINUTES <= 10
    assert clock.slots == pytest.approx(slots, rel=0.2)
    assert clock.minutes == pytest.approx(lasts, rel=0.2, abs=4)
    assert not clock.working
    assert len(clock.rises) <= clock.looked <= days


def test_time_is_local() -> None:
    most = load(5, random.Random(1))
    for day in range(5):
        add(most, day * DAY_MINUTES + 6 * 60, 40, 30)
    (clock,) = find_clocks(series(most), 7200, RISE)
    assert clock.minute == 8 * 60
    at = next_time(clock, series(most), (MONDAY + 5 * DAY_MINUTES) * MINUTE, 7200)
    assert at == (MONDAY + 5 * DAY_MINUTES + 6 * 60) * MINUTE


def test_two_times_of_a_day_are_two() -> None:
    most = load(6, random.Random(2))
    for day in range(6):
        add(most, day * DAY_MINUTES + 480, 40, 30)
        add(most, day * DAY_MINUTES + 1200, 20, 30)
    assert [(c.minute, c.slots >= 18) for c in find_clocks(series(most), 0, RISE)] == [(480, True), (1200, True)]


def test_from_monday_to_friday() -> None:
    most = load(14, random.Random(3))
    for day in range(14):
        if day % 7 < 5:
            add(most, day * DAY_MINUTES + 480, 40, 30)
    (clock,) = find_clocks(series(most), 0, RISE)
    assert (clock.working, len(clock.rises), clock.looked) == (True, 10, 10)
    friday = MONDAY + 11 * DAY_MINUTES + 500
    assert next_time(clock, series(most), friday * MINUTE, 0) == (MONDAY + 14 * DAY_MINUTES + 480) * MINUTE


@pytest.mark.parametrize("every", [5, 10, 30, 60, 240])
def test_every_so_many_minutes(every: int) -> None:
    chance = random.Random(every)
    most = load(3, chance, noise=1)
    for at in range(every, len(most), every):
        add(most, at, 30, 2)
    (clock,) = find_clocks(series(most), 0, RISE)
    assert (clock.every, clock.slots >= 28) == (every, True)
    now = (MONDAY + 3 * DAY_MINUTES + 1) * MINUTE
    assert 0 < next_time(clock, series(most), now, 0) - now <= every * MINUTE


@pytest.mark.parametrize("seed", range(30))
def test_rises_by_chance_are_none(seed: int) -> None:
    chance = random.Random(seed)
    most = load(14, chance)
    for _ in range(chance.randint(10, 40)):
        add(most, chance.randint(0, len(most) - 1), chance.randint(12, 60), chance.randint(5, 120))
    assert find_clocks(series(most), 0, RISE) == ()


@pytest.mark.parametrize("seed", range(10))
def test_the_load_of_people_is_none(seed: int) -> None:
    chance = random.Random(seed)
    most: list[int | None] = [
        30 + round(25 * math.sin(2 * math.pi * at / DAY_MINUTES)) + chance.randint(-3, 3)
        for at in range(10 * DAY_MINUTES)
    ]
    assert find_clocks(series(most), 0, RISE) == ()


def test_a_deployment_and_two_days_are_too_little() -> None:
    most = load(10, random.Random(4))
    add(most, 4000, 40, 9000)
    assert find_clocks(series(most), 0, RISE) == ()
    most = load(2, random.Random(5))
    for day in range(2):
        add(most, day * DAY_MINUTES + 480, 40, 30)
    assert find_clocks(series(most), 0, RISE) == ()


def test_what_nobody_saw_is_no_rise() -> None:
    """The recorder is started each morning at 08:00, and the holder has what it always has."""
    most: list[int | None] = [None] * (7 * DAY_MINUTES)
    for day in range(7):
        for minute in range(480, 1000):
            most[day * DAY_MINUTES + minute] = 40
    assert find_clocks(series(most), 0, RISE) == ()
    assert find_clocks(series([]), 0, RISE) == ()
