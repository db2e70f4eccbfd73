"""a holder takes more and more slots and gives none back."""

from __future__ import annotations

from collections.abc import Iterator

from pgusher.diagnose.remedies import look
from pgusher.diagnose.room import Room
from pgusher.diagnose.text import DAY, MINUTE, span
from pgusher.diagnose.trend import find_leak
from pgusher.model.evidence import Certainty
from pgusher.model.findings import Evidence, Finding, Remedy, Safety, Severity
from pgusher.model.past import ALL, Past

WORST = Severity.WARNING
RATIO = 0.05
"""The share of the ordinary slots that the floor must have risen by."""


def check(history: Past, room: Room, ratio: float) -> Iterator[Finding]:
    """The fewest slots of a holder rise steadily, and would fill the server within a day."""
    left = room.ceilings.ordinary - room.taken
    for series in history.series:
        if series.holder in (ALL, "pgusher"):
            continue
        leak = find_leak(series.least, max(3, round(ratio * room.ordinary)))
        if leak is None:
            continue
        until_full = round(max(0, left) / leak.per_minute) * MINUTE
        if until_full > DAY:
            continue
        over = span(leak.minutes * MINUTE)
        yield Finding(
            "leaking-slots",
            Severity.WARNING,
            Certainty.LIKELY,
            series.holder,
            f"full in {span(until_full)} at the present rate of {leak.per_minute * 60:.1f} slots an hour",
            detail=(
                f"{series.holder} had at least {leak.first} slots {over} ago, and at least {leak.last} since.",
                f"{room.taken} of {room.ceilings.ordinary} ordinary slots are taken.",
            ),
            evidence=(
                Evidence(f"the fewest slots of {series.holder} rose from {leak.first} to {leak.last} in {over}"),
                Evidence("they rose in small steps, and none was given back", Certainty.LIKELY),
            ),
            remedies=(
                look(series.holder),
                Remedy("close what is opened: give connections back in a finally block, or by a with", Safety.SAFE),
            ),
            holder=series.holder,
        )
