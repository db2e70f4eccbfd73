"""most of the slots that an ordinary role can take are taken."""

from __future__ import annotations

from collections.abc import Iterator

from pgusher.diagnose.case import Held
from pgusher.diagnose.remedies import look
from pgusher.diagnose.room import NEAR, Room
from pgusher.diagnose.rules.slots_exhausted import who_holds
from pgusher.diagnose.text import count
from pgusher.model.findings import Evidence, Finding, Severity

WORST = Severity.WARNING

RATIO = NEAR
"""The share of the ordinary slots from which on they run out."""


def check(room: Room, holders: tuple[Held, ...], ratio: float) -> Iterator[Finding]:
    """There is little room left, and nobody is refused yet."""
    if room.full or room.taken < ratio * room.ordinary:
        return
    ceilings = room.ceilings
    left = ceilings.ordinary - room.taken
    yield Finding(
        "slots-running-out",
        Severity.WARNING,
        ceilings.certainty,
        "server",
        f"{room.taken} of {ceilings.ordinary} ordinary slots taken, {left} left",
        detail=who_holds(holders),
        evidence=(
            Evidence(f"{count(room.taken, 'slot')} are taken"),
            Evidence(f"max_connections is {ceilings.max_connections}, by {ceilings.source}", ceilings.certainty),
        ),
        remedies=(look(None),),
        symptom=True,
    )
