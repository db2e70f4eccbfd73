"""every slot that an ordinary role can take is taken."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from pgusher.diagnose.case import Held
from pgusher.diagnose.remedies import alter_system, look
from pgusher.diagnose.room import Room
from pgusher.diagnose.text import count, listed
from pgusher.model.evidence import Certainty
from pgusher.model.findings import Evidence, Finding, Remedy, Safety, Severity
from pgusher.model.server import View
from pgusher.model.session import UNSTARTED
from pgusher.model.snapshot import Snapshot

WORST = Severity.CRITICAL


def check(view: View, holders: tuple[Held, ...], snapshot: Snapshot, room: Room | None = None) -> Iterator[Finding]:
    """The server refuses ordinary roles, or will refuse the next one."""
    refused = view.refuses_all or bool(view.refuses)
    if snapshot.crowded:
        yield _crowded(snapshot)
        return
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
        message,
        detail=who_holds(holders),
        evidence=tuple(evidence),
        remedies=(Remedy("see who holds them, and why", Safety.SAFE, f"pgusher why {first}".rstrip()),),
        symptom=True,
    )


def _crowded(snapshot: Snapshot) -> Finding:
    """It has slots, and no process left for any further connection."""
    waiting = {s.pid for s in snapshot.facts.sessions if s.backend_type == UNSTARTED}
    names = Counter(chain.holder for chain in snapshot.chains if chain.pid in waiting).most_common()
    verb = "that has not started a session keeps" if len(waiting) == 1 else "that have not started a session keep"
    return Finding(
        "slots-exhausted",
        Severity.CRITICAL,
        Certainty.LIKELY,
        "server",
        f"{count(len(waiting), 'connection')} {verb} the server from accepting",
        detail=(
            f"They are of {listed([f'{name} ({number})' for name, number in names])}.",
            "They take no slot, but one of the processes each that the server may have.",
        ),
        evidence=(
            Evidence("the server refuses everybody, before it asks who it is"),
            Evidence(f"{count(snapshot.taken, 'slot')} are taken; {len(waiting)} of its processes wait for a client"),
        ),
        remedies=(
            look(names[0][0] if names else None),
            alter_system("authentication_timeout = '10s'", "give a login less time than the 60 s it has"),
        ),
        symptom=True,
    )


def who_holds(holders: tuple[Held, ...]) -> tuple[str, ...]:
    """One sentence: who holds the slots, most first."""
    named = listed([f"{held.name} ({len(held.sessions)})" for held in holders])
    return (f"they are held by {named}.",) if named else ()
