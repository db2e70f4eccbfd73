"""Pool sizes follow from what was measured, and nothing is concluded from too little."""

from __future__ import annotations

from typing import Any

import pytest

from pgusher.budget.sizing import silent, sizes
from pgusher.model.address import Micros
from pgusher.surfaces.render.sizing import said
from tests.attribute.builders import BOOT, SECOND, World
from tests.budget.sheets import gunicorn, pool, snapshot

NOW: Micros = BOOT + 10_000 * SECOND
AN_HOUR_AGO = NOW - 3600 * SECOND


def test_web_uses_at_most_6_of_40() -> None:
    world = World()
    _, workers = gunicorn(world, 4)
    used = (1, 1, 1, 3)
    pools = [
        pool(worker, 10, most_lent=most, requests=36_000, busy_ms=360_000, since=AN_HOUR_AGO)
        for worker, most in zip(workers, used, strict=True)
    ]
    (one,) = sizes(snapshot(world, pools))
    # 10 loans a second of 10 ms in each of 4 processes: 0.1 at once in each, 0.4 together.
    assert (one.used, one.may, one.busiest, one.proposed) == (6, 40, 3, 3)
    assert one.per_second == pytest.approx(40)
    assert one.loan_ms == pytest.approx(10)
    assert one.mean == pytest.approx(0.4)
    assert said(one) == "unit/orders-api uses at most 6 of 40 (4 x max_size 10): max_size 3 is enough"


@pytest.mark.parametrize(
    ("figures", "proposed", "words"),
    [
        ({"most_lent": 10}, 10, "a pool had all lent, so it may want more"),
        ({"most_lent": 2, "busy_ms": 3_600_000 * 4}, 8, "max_size 8 is enough"),
        ({"most_lent": 2, "busy_ms": 3_600_000 * 9}, 10, "as large as it needs to be"),
        ({"most_lent": 2, "since": NOW - 5 * SECOND}, 10, "too little to conclude from"),
        ({"most_lent": 0, "requests": 0, "busy_ms": 0}, 1, "too little to conclude from"),
        ({"most_lent": 2, "since": NOW + 5 * SECOND}, 10, "too little to conclude from"),
    ],
)
def test_what_is_proposed_follows_from_use(figures: dict[str, Any], proposed: int, words: str) -> None:
    world = World()
    _, (worker,) = gunicorn(world, 1)
    values: dict[str, Any] = {"requests": 36_000, "busy_ms": 36_000, "since": AN_HOUR_AGO, **figures}
    (one,) = sizes(snapshot(world, [pool(worker, 10, **values)]))
    assert one.proposed == proposed
    assert words in said(one)


def test_who_is_not_measured_is_named() -> None:
    world = World()
    _, workers = gunicorn(world, 2)
    assert silent(snapshot(world)) == ("unit/orders-api",)
    assert silent(snapshot(world, [pool(worker) for worker in workers])) == ()
