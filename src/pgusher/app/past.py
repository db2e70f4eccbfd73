"""Who held what at a moment of the past: out of the recorder's store, or of what a screen keeps in memory."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from pgusher.app.forecast import shares
from pgusher.app.live import Sum
from pgusher.model.address import Micros
from pgusher.model.past import ALL, HOUR, MINUTE, Series
from pgusher.model.values import dataclass
from pgusher.record.times import length, moment

if TYPE_CHECKING:
    from pgusher.record.reading import Reader

_SPAN = HOUR
_LONGEST = 366 * 24 * HOUR
_STEPS = 240
"""Steps of a picture."""
_STATES = {"idle": 1, "active": 2, "idle in transaction": 3}
_NEAR = 60 * 1_000_000
"""So near to a moment must a look have been to say who held what then."""


@dataclass(frozen=True, slots=True)
class Held:
    """What one holder had at one moment; None: not known."""

    name: str
    slots: int
    idle: int | None = None
    active: int | None = None
    transaction: int | None = None


@dataclass(frozen=True, slots=True)
class Past:
    """One moment, and the time around it."""

    asked: str
    at: Micros | None
    held: tuple[Held, ...] | None
    """None: nothing was seen then."""
    points: tuple[tuple[Micros, Mapping[str, int] | None], ...] = ()
    span_text: str = ""
    wrong: str = ""
    """Why what was asked for cannot be understood."""
    nothing: str = ""
    """What stands in the place of an empty table."""
    ordinary: int | None = None
    """Slots that an ordinary role could take then; None: not kept."""


def from_memory(sums: Sequence[Sum], asked: str, now: Micros) -> Past:
    """What the looks since the start tell. `now` is the moment that "08:00" is looked for before."""
    points = tuple((one.at, dict(one.holders)) for one in sums)
    told = "Looked at since the start of pgusher serve only."
    try:
        at = moment(asked, now) if asked else sums[-1].at if sums else None
    except ValueError as error:
        return Past(asked, None, None, points, wrong=f"cannot read that: give {error}")
    near = min(sums, key=lambda one: abs(one.at - (at or 0)), default=None)
    if at is None or near is None or abs(near.at - at) > _NEAR:
        return Past(asked, at, None, points, nothing=f"Nothing was seen then. {told}")
    held = tuple(Held(name, slots) for name, slots in sorted(near.holders, key=lambda pair: -pair[1]))
    return Past(asked, near.at, held, points, nothing="Nobody held a slot.", ordinary=near.ordinary)


def from_store(reader: Reader, label: str, asked: str, span_text: str, now: Micros) -> Past:
    """What the recorder kept of a server: the moment, and the time around it. Raises StoreError."""
    try:
        span = length(span_text) if span_text else _SPAN
        at = moment(asked, now) if asked else None
    except ValueError as error:
        return Past(asked, None, None, span_text=span_text, wrong=f"cannot read that: give {error}")
    span = min(max(span, 10 * MINUTE), _LONGEST)
    bounds = reader.bounds(label)
    at = at if at is not None else min(now, bounds[1] - 1 if bounds else now)
    until = min(now, at + span // 2) if asked else now
    points = _points(reader.series(label, until - span, until))
    found = reader.moment(label, at)
    sums: dict[str, list[int]] = {}
    for life in found.lives:
        counts = sums.setdefault(life.holder, [0, 0, 0, 0])
        counts[0] += 1
        if (place := _STATES.get((life.state or "").partition(" (")[0])) is not None:
            counts[place] += 1
    held = tuple(Held(name, *counts) for name, counts in sorted(sums.items(), key=lambda pair: (-pair[1][0], pair[0])))
    nothing = "Nobody held a slot."
    if found.seen is None:
        held_or_none = None
        nothing = "Nobody looked then: who held what is not known."
        if held:
            nothing += f" {len(found.lives)} sessions were there before and afterwards."
    else:
        held_or_none = held
    ordinary = found.ceiling.ordinary if found.ceiling is not None else None
    return Past(asked, at, held_or_none, points, span_text=span_text, nothing=nothing, ordinary=ordinary)


def _points(series: Sequence[Series]) -> tuple[tuple[Micros, Mapping[str, int] | None], ...]:
    """So many steps as a picture has, of each the fullest minute; None for one in which nobody looked."""
    total = next((one for one in series if one.holder == ALL), None)
    if total is None:
        return ()
    others = [one for one in series if one.holder != ALL]
    step = max(1, -(-len(total.most) // _STEPS))
    points: list[tuple[Micros, Mapping[str, int] | None]] = []
    for first in range(0, len(total.most), step):
        known = [i for i in range(first, min(first + step, len(total.most))) if total.most[i] is not None]
        if not known:
            points.append((total.at(first), None))
            continue
        fullest = max(known, key=lambda i: total.most[i] or 0)
        points.append((total.at(first), shares(total, others, fullest)))
    return tuple(points)
