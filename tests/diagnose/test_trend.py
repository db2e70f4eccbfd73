"""Leaks are found, with their rate; noise, steps, teeth and work are none."""

from __future__ import annotations

import random

import pytest

from pgusher.diagnose.trend import find_leak

RISE = 5


@pytest.mark.parametrize("seed", range(20))
def test_a_linear_leak_is_found_and_its_rate_is_right(seed: int) -> None:
    chance = random.Random(seed)
    rate, first = chance.uniform(0.15, 2.0), chance.randint(3, 20)
    minutes = chance.randint(90, 180)
    least: list[int | None] = [int(first + rate * at + chance.random()) for at in range(minutes)]
    for at in chance.sample(range(minutes), 10):
        least[at] = None  # nobody looked
    leak = find_leak(least, RISE)
    assert leak is not None
    assert leak.per_minute == pytest.approx(rate, rel=0.2)


def test_a_slow_leak_is_found_in_a_day() -> None:
    leak = find_leak([10 + at // 60 for at in range(1440)], RISE)
    assert leak is not None
    assert leak.per_minute == pytest.approx(1 / 60, rel=0.2)


@pytest.mark.parametrize("seed", range(30))
def test_noise_is_no_leak(seed: int) -> None:
    chance = random.Random(seed)
    assert find_leak([20 + chance.randint(-10, 10) for _ in range(1440)], RISE) is None


@pytest.mark.parametrize("seed", range(30))
def test_a_wandering_load_is_seldom_more_than_a_step(seed: int) -> None:
    chance = random.Random(seed)
    number, least = 40, []
    for _ in range(1440):
        number = min(60, max(5, number + chance.choice((-1, 0, 0, 1))))
        least.append(number)
    leak = find_leak(least, RISE)
    assert leak is None


@pytest.mark.parametrize("at", range(10, 240, 23))
def test_a_step_is_no_leak(at: int) -> None:
    assert find_leak([10] * at + [50] * (240 - at), RISE) is None


@pytest.mark.parametrize("tooth", [7, 25, 60, 119, 200, 480])
def test_teeth_are_no_leak(tooth: int) -> None:
    assert find_leak([10 + 40 * (at % tooth) // tooth for at in range(1440)], RISE) is None


def test_too_little_is_nothing() -> None:
    assert find_leak(list(range(20)), RISE) is None
    assert find_leak([None] * 200, RISE) is None
    assert find_leak([], RISE) is None
