"""a holder takes many more slots at the same time each day, or every so many minutes."""

from __future__ import annotations

from collections.abc import Iterator

from pgusher.diagnose.clock import DAY_MINUTES, Clock, find_clocks, next_time
from pgusher.diagnose.remedies import look
from pgusher.diagnose.room import NEAR, Room
from pgusher.diagnose.text import MINUTE, span
from pgusher.model.address import Micros
from pgusher.model.evidence import Certainty
from pgusher.model.findings import Evidence, Finding, Remedy, Safety, Severity
from pgusher.model.past import ALL, Past, Series

WORST = Severity.WARNING
RATIO = 0.1
"""The share of the ordinary slots by which it must rise."""


def check(history: Past, room: Room, now: Micros, ratio: float) -> Iterator[Finding]:
    """Rises that come by the clock: a warning where the server was running out of slots then, else a note."""
    total = next((one for one in history.days if one.holder == ALL), None)
    rise = max(5, round(ratio * room.ordinary))
    for series in history.days:
        if series.holder in (ALL, "pgusher"):
            continue
        for clock in find_clocks(series, history.offset, rise):
            yield _finding(clock, series, total, room, history.offset, now)


def _finding(clock: Clock, series: Series, total: Series | None, room: Room, offset: int, now: Micros) -> Finding:
    name = series.holder
    at = _clock(clock.minute)
    turns = len(clock.rises)
    if clock.every is not None:
        when = f"every {clock.every} minutes"
        seen = f"It rose {turns} times, about {clock.every} minutes after the time before."
    else:
        days = "working day" if clock.working else "day"
        when = f"each {days} at {at}"
        seen = f"It did so on {turns} of the {clock.looked} {days}s on which that time was looked at."
    low, high = min(one.slots for one in clock.rises), max(one.slots for one in clock.rises)
    part = "so many" if low == high else f"{low} to {high}"
    top = max((_top(total, rise.at, rise.minutes) for rise in clock.rises), default=0) if total else 0
    near = top >= NEAR * room.ordinary
    until = max(0, next_time(clock, series, now, offset) - now)
    detail = [f"It takes {part} more slots {when}; the next time is in {span(until)}.", seen]
    if top:
        detail.append(f"All together had up to {min(top, room.ceilings.max_connections)} of {room.ordinary} then.")
    return Finding(
        "daily-peak",
        Severity.WARNING if near else Severity.NOTE,
        Certainty.LIKELY,
        f"{name}@{at}" if clock.every is None else name,
        f"{name}: {clock.slots} more slots {when}, for {span(max(1, clock.minutes) * MINUTE)}",
        detail=tuple(detail),
        evidence=(
            Evidence(f"it rose by {low} to {high} slots within minutes, {turns} times"),
            Evidence("what comes at the same time again and again comes by the clock", Certainty.LIKELY),
        ),
        remedies=(
            look(name) if clock.every is not None else _then(clock),
            Remedy("let the job wait until there are slots: pgusher run --slots N", Safety.SAFE),
            Remedy(
                "start what begins at the same minute one after the other, or give each a smaller pool", Safety.SAFE
            ),
        ),
        holder=name,
    )


def _top(total: Series, at: int, minutes: int) -> int:
    return max((number for number in total.most[at : at + max(1, minutes)] if number is not None), default=0)


def _then(clock: Clock) -> Remedy:
    middle = _clock((clock.minute + clock.minutes // 2) % DAY_MINUTES)
    return Remedy("see who held what then", Safety.SAFE, f"pgusher history --at {middle}")


def _clock(minute: int) -> str:
    return f"{minute // 60:02d}:{minute % 60:02d}"
