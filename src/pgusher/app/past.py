"""Who held what at a moment of the past, for the screens that stay open: out of what they keep in memory."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta

from pgusher.app.live import Sum
from pgusher.model.address import Micros
from pgusher.model.values import dataclass

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


def from_memory(sums: Sequence[Sum], asked: str, now: Micros) -> Past:
    """What the looks since the start tell. `now` is the moment that "08:00" is looked for before."""
    points = tuple((one.at, dict(one.holders)) for one in sums)
    told = "Looked at since the start of pgusher serve only."
    if not asked:
        at = sums[-1].at if sums else None
    else:
        at = parse(asked, now)
        if at is None:
            wrong = f"cannot read the time {asked[:40]!r}: write 08:00, or 2026-01-31T08:00Z"
            return Past(asked, None, None, points, wrong=wrong)
    near = min(sums, key=lambda one: abs(one.at - (at or 0)), default=None)
    if at is None or near is None or abs(near.at - at) > _NEAR:
        return Past(asked, at, None, points, nothing=f"Nothing was seen then. {told}")
    held = tuple(Held(name, slots) for name, slots in sorted(near.holders, key=lambda pair: -pair[1]))
    return Past(asked, near.at, held, points, nothing="Nobody held a slot.")


def parse(text: str, now: Micros) -> Micros | None:
    """ "08:00", the last one there was, in UTC, or a date with a time as ISO 8601 has it; None for anything else."""
    here = datetime.fromtimestamp(now / 1e6, UTC)
    try:
        if len(text) <= 8 and ":" in text:
            clock = datetime.strptime(text, "%H:%M:%S" if text.count(":") == 2 else "%H:%M").replace(tzinfo=UTC)
            at = here.replace(hour=clock.hour, minute=clock.minute, second=clock.second, microsecond=0)
            at = at if at <= here else at - timedelta(days=1)
        else:
            at = datetime.fromisoformat(text)
            at = at if at.tzinfo is not None else at.replace(tzinfo=UTC)
        return int(at.timestamp() * 1_000_000)
    except (ValueError, OverflowError):
        return None
