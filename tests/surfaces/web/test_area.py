"""What the picture of the past says, and what is not known of it."""

from __future__ import annotations

from pgusher.app.past import Past
from pgusher.model.past import MINUTE
from pgusher.surfaces.web.area import Point, area
from pgusher.surfaces.web.pages import history


def told(*held: int | None) -> str:
    points = [Point(at * MINUTE, None if slots is None else {"web": slots}) for at, slots in enumerate(held)]
    found = area(points, {}, 97, lambda _: "", title="")
    assert found is not None
    return found.told


def test_an_end_that_nobody_saw_is_not_told_as_empty() -> None:
    assert told(3, 5, 4) == "at most 5 slots, at 00:01:00Z; 4 at the end; ordinary roles get 97"
    assert told(3, 5, None) == "at most 5 slots, at 00:01:00Z; the end was not seen; ordinary roles get 97"
    assert told(None, None) == "nothing was seen"


def test_a_moment_has_the_ceiling_of_then() -> None:
    points = ((0, {"web": 3}), (MINUTE, {"web": 5}))
    assert history(Past("", 0, (), points, ordinary=37), {}, "5432", 97)["ceiling"] == 37
    assert history(Past("", 0, (), points), {}, "5432", 97)["ceiling"] == 97
