"""every slot that an ordinary role can take is taken."""

from __future__ import annotations

from collections.abc import Iterator

from pgusher.diagnose.case import Held
from pgusher.diagnose.room import Room
from pgusher.diagnose.text import count, fit, listed
from pgusher.model.evidence import Certainty
from pgusher.model.findings import Evidence, Finding, Remedy, Safety, Severity
from pgusher.model.server import View

WORST = Severity.CRITICAL


def check(view: View, holders: tuple[Held, ...], room: Room | None = None) -> Iterator[Finding]:
    """The server refuses ordinary roles, or will refuse the next one."""
    refused = view.refuses_all or bool(view.refuses)
    if not refused and (room is None or not room.full):
        return
    evidence = []
    if view.refuses:
        evidence.append(Evidence(f'the server says: "{view.refuses}"'))
    elif refused:
        evidence.append(Evidence("the server refuses everybody, before it asks who it is"))
    certainty = Certainty.PROVEN
    if room is not None:
        ceilings = room.ceilings
        certainty = Certainty.PROVEN if refused else ceilings.certainty
        ordinary = min(room.taken, ceilings.ordinary)
        message = f"{ordinary} of {ceilings.ordinary} ordinary slots taken"
        rest = ceilings.superuser_reserved + ceilings.reserved
        message += f", {min(rest, max(0, room.taken - ceilings.ordinary))} of {rest} reserved" if rest else ""
        evidence.append(Evidence(f"{count(room.taken, 'slot')} are taken, by {ceilings.source}", ceilings.certainty))
    else:
        message = "the server refuses new sessions: every slot is taken"
    first = holders[0].name if holders else ""
    yield Finding(
        "slots-exhausted",
        Severity.CRITICAL,
        certainty,
        "server",
        fit(message),
        detail=who_holds(holders),
        evidence=tuple(evidence),
        remedies=(Remedy("see who holds them, and why", Safety.SAFE, f"pgusher why {first}".rstrip()),),
        symptom=True,
    )


def who_holds(holders: tuple[Held, ...]) -> tuple[str, ...]:
    """One sentence: who holds most slots."""
    if not holders:
        return ()
    return (f"most are held by {listed([f'{held.name} ({len(held.sessions)})' for held in holders])}.",)
