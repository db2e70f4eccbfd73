"""The stacked area over time: who held how much, where the ceiling is, and when it would be reached."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Callable, Mapping, Sequence

from pgusher.model.address import Micros
from pgusher.model.values import dataclass
from pgusher.surfaces.render import words
from pgusher.surfaces.render.letters import UNKNOWN
from pgusher.surfaces.web.view import hue

WIDTH, HEIGHT = 960, 200
_BANDS = 7
"""Holders with a band of their own; the others share one."""
_LINKS = 60
"""Places in the picture that can be clicked on."""


@dataclass(frozen=True, slots=True)
class Point:
    """What was held at one moment, or in the time up to the next point at most; None: nothing could be seen."""

    at: Micros
    holders: Mapping[str, int] | None


@dataclass(frozen=True, slots=True)
class Band:
    """One holder's share of the picture."""

    name: str
    letter: str
    hue: str
    path: str


@dataclass(frozen=True, slots=True)
class Place:
    """A stripe of the picture: what can be clicked on, or what was not seen."""

    x: float
    width: float
    url: str = ""
    text: str = ""
    here: bool = False


@dataclass(frozen=True, slots=True)
class Area:
    """The whole picture."""

    title: str
    told: str
    """The same in a sentence, for whoever does not see it."""
    bands: tuple[Band, ...]
    holes: tuple[Place, ...]
    moments: tuple[Place, ...]
    ceiling: float | None
    forecast: str
    forecast_text: str
    now: float | None
    """Where what was seen ends, and the forecast begins; None without one."""
    first: str
    last: str
    width: int = WIDTH
    height: int = HEIGHT


def area(
    points: Sequence[Point],
    letters: Mapping[str, str],
    ceiling: int | None,
    link: Callable[[Micros], str],
    *,
    title: str,
    here: Micros | None = None,
    full_in: tuple[float, str] | None = None,
) -> Area | None:
    """The picture of these points, the oldest first; None when there are fewer than two.

    `link` gives the address of a moment, `here` is the one that is shown; `full_in`: seconds until the server is full
    at the present rate, and that in words.
    """
    if len(points) < 2:
        return None
    first, last = points[0].at, points[-1].at
    span = max(1, last - first)
    ahead = min(full_in[0] * 1_000_000, span / 3) if full_in is not None else 0.0
    scale_x = WIDTH / (span + ahead)
    totals = [sum(point.holders.values()) if point.holders is not None else 0 for point in points]
    top = max(*totals, ceiling or 0, 1) * 1.05

    def x(at: float) -> float:
        return round((at - first) * scale_x, 1)

    def y(slots: float) -> float:
        return round(HEIGHT - HEIGHT * slots / top, 1)

    weight: Counter[str] = Counter()
    for point in points:
        weight.update(point.holders or {})
    own = [name for name, _ in weight.most_common(_BANDS)]
    forecast, text = "", ""
    if full_in is not None and ceiling is not None:
        reached = totals[-1] + (ceiling - totals[-1]) * (ahead / (full_in[0] * 1_000_000) if full_in[0] > 0 else 1)
        forecast = f"{x(last)},{y(totals[-1])} {x(last + ahead)},{y(reached)}"
        text = full_in[1]
    most = max(totals)
    when = points[totals.index(most)].at
    # All of them, those of superusers too, beside what the line in the picture is: no "40 of 37".
    limit = f"; ordinary roles get {ceiling}" if ceiling else ""
    seen = any(point.holders is not None for point in points)
    end = f"{totals[-1]} at the end" if points[-1].holders is not None else "the end was not seen"
    return Area(
        title=title,
        told=f"at most {most} slots, at {clock(when, span)}; {end}{limit}" if seen else "nothing was seen",
        bands=tuple(_bands(points, own, letters, x, y)),
        holes=tuple(_holes(points, x)),
        moments=tuple(_moments(points, totals, x, link, here)),
        ceiling=y(ceiling) if ceiling else None,
        forecast=forecast,
        forecast_text=text,
        now=x(last) if forecast else None,
        first=clock(first, span),
        last=clock(last + round(ahead), span),
    )


def clock(at: Micros, span: Micros) -> str:
    """A moment, as exact as the time shown needs it, in UTC."""
    text = words.iso(at)
    if span < 2 * 3600 * 1_000_000:
        return text[11:19] + "Z"
    return text[:16].replace("T", " ") + "Z"


def _bands(
    points: Sequence[Point],
    own: Sequence[str],
    letters: Mapping[str, str],
    x: Callable[[float], float],
    y: Callable[[float], float],
) -> list[Band]:
    others = any(name not in own for point in points for name in (point.holders or ()))
    names = [*own, *(["further holders"] if others else [])]
    below = [0] * len(points)
    bands = []
    for name in names:
        above = []
        for place, point in enumerate(points):
            held = point.holders or {}
            mine = held.get(name, 0) if name in own else sum(n for who, n in held.items() if who not in own)
            above.append(below[place] + mine)
        letter = letters.get(name, UNKNOWN) if name in own else "#"
        bands.append(Band(name, letter, hue(letter), _path(points, below, above, x, y)))
        below = above
    return bands


def _path(
    points: Sequence[Point],
    below: Sequence[int],
    above: Sequence[int],
    x: Callable[[float], float],
    y: Callable[[float], float],
) -> str:
    """Steps, as slots come and go at once: a slope would show slots that nobody had."""
    upper, lower = [], []
    for place, point in enumerate(points):
        end = points[place + 1].at if place + 1 < len(points) else point.at
        upper += [f"{x(point.at)},{y(above[place])}", f"{x(end)},{y(above[place])}"]
        lower += [f"{x(point.at)},{y(below[place])}", f"{x(end)},{y(below[place])}"]
    return f"M{' L'.join(upper)} L{' L'.join(reversed(lower))} Z"


def _holes(points: Sequence[Point], x: Callable[[float], float]) -> list[Place]:
    found = []
    for point, after in itertools.pairwise(points):
        if point.holders is None:
            found.append(Place(x(point.at), round(max(0.5, x(after.at) - x(point.at)), 1)))
    return found


def _moments(
    points: Sequence[Point],
    totals: Sequence[int],
    x: Callable[[float], float],
    link: Callable[[Micros], str],
    here: Micros | None,
) -> list[Place]:
    first, last = points[0].at, points[-1].at
    span = max(1, last - first)
    count = min(_LINKS, len(points) - 1)
    found = []
    place = 0
    for number in range(count):
        begin, end = first + span * number // count, first + span * (number + 1) // count
        middle = (begin + end) // 2
        while place + 1 < len(points) and points[place + 1].at <= middle:
            place += 1
        seen = "not seen" if points[place].holders is None else words.count(totals[place], "slot")
        is_here = here is not None and begin <= here < end
        found.append(
            Place(
                x(begin), round(x(end) - x(begin), 1), link(middle),
                f"{clock(middle, span)}: {seen}; who held them", is_here,
            )
        )  # fmt: skip
    return found
