from __future__ import annotations

import pytest

from pgusher.app.forecast import minutes, shares, to_full
from pgusher.model.past import ALL, MINUTE, Past, Series
from pgusher.model.values import replace
from tests.surfaces import worlds

QUIET = worlds.quiet()
NOW = QUIET.facts.taken_at // MINUTE * MINUTE


def past_of(least: list[int | None], **others: list[int | None]) -> Past:
    since = NOW - len(least) * MINUTE
    every = {ALL: least, **others}
    series = tuple(Series(name, since, tuple(kept), tuple(kept), tuple(kept)) for name, kept in every.items())
    return Past(since, NOW, series)


def linear(per_hour: float, hours: float = 2) -> list[int | None]:
    """A leak that ends with what is taken now."""
    size = int(hours * 60)
    return [round(QUIET.taken - per_hour * (size - 1 - minute) / 60) for minute in range(size)]


@pytest.mark.parametrize("per_hour", [3, 5, 6])
def test_a_linear_leak_is_foretold_within_a_fifth(per_hour: float) -> None:
    found = to_full(past_of(linear(per_hour)), QUIET)
    assert found is not None
    assert QUIET.facts.ceilings is not None
    truth = (QUIET.facts.ceilings.ordinary - QUIET.taken) / per_hour * 3600
    assert found[0] == pytest.approx(truth, rel=0.2)
    assert found[1] == 119


@pytest.mark.parametrize(
    "least", [[], [12] * 120, [12, 20] * 60, [None] * 120, linear(6, 0.2), [3] * 60 + [12] * 60], ids=range(6)
)
def test_what_is_no_leak_is_not_foretold(least: list[int | None]) -> None:
    assert to_full(past_of(least), QUIET) is None


def test_without_a_ceiling_nothing_is_foretold() -> None:
    blind = replace(QUIET, facts=replace(QUIET.facts, ceilings=None))
    assert to_full(past_of(linear(6)), blind) is None
    assert to_full(Past(0, 1), QUIET) is None


def test_the_minutes_of_a_time_with_those_that_nobody_saw() -> None:
    past = past_of([4, None, 6, 7], web=[4, None, 0, 7])
    assert minutes(past, 0, NOW + MINUTE) == (
        (NOW - 4 * MINUTE, {"web": 4}),
        (NOW - 3 * MINUTE, None),
        (NOW - 2 * MINUTE, {}),
        (NOW - MINUTE, {"web": 7}),
    )
    assert minutes(past, NOW - 2 * MINUTE, NOW - MINUTE) == ((NOW - 2 * MINUTE, {}),)
    assert minutes(past, NOW, NOW) == ()
    assert minutes(Past(0, 1), 0, NOW) == ()


def test_holders_that_came_and_went_within_a_minute_are_not_added_up() -> None:
    def series(name: str, least: int, most: int) -> Series:
        return Series(name, NOW, (least,), (most,), (float(most),))

    total = series(ALL, 8, 23)
    others = [series("old", 0, 15), series("new", 0, 15), series("web", 6, 6), series("pgusher", 2, 2)]
    found = shares(total, others, 0)
    assert found is not None
    assert sum(found.values()) == 23
    assert (found["web"], found["pgusher"]) == (6, 2)
    assert abs(found["old"] - found["new"]) <= 1
