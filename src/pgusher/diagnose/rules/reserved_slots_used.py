"""slots that are reserved for superusers, or for a privileged role, are taken."""

from __future__ import annotations

from collections.abc import Iterator

from pgusher.diagnose.case import Held
from pgusher.diagnose.remedies import look
from pgusher.diagnose.room import Room
from pgusher.diagnose.text import count, listed
from pgusher.model.findings import Evidence, Finding, Remedy, Safety, Severity
from pgusher.model.holder import HolderKind
from pgusher.model.session import Session

WORST = Severity.CRITICAL


def check(room: Room, sessions: tuple[Session, ...], holders: tuple[Held, ...]) -> Iterator[Finding]:
    """More slots are taken than ordinary roles can take. pgusher's own session is not counted."""
    ceilings = room.ceilings
    used = len(sessions) - ceilings.ordinary
    reserved = ceilings.superuser_reserved + ceilings.reserved
    if used <= 0 or not reserved:
        return
    gone = used >= reserved
    programs = [
        (held, sum(1 for s in held.sessions if s.superuser))
        for held in holders
        if held.holder.kind is not HolderKind.TERMINAL and any(s.superuser for s in held.sessions)
    ]
    detail = []
    if gone:
        detail.append("Not even a superuser gets a session now.")
    if programs:
        listing = listed([f"{held.name} ({number})" for held, number in programs])
        detail.append(f"These log in as a superuser, which takes what is reserved for an emergency: {listing}.")
    roles = sorted({s.user for held, _ in programs for s in held.sessions if s.superuser and s.user})
    remedies = [look(None)]
    if programs:
        remedies.append(
            Remedy(
                f"give it a role of its own that is no superuser, instead of {listed(roles)}",
                Safety.SAFE,
            )
        )
    yield Finding(
        "reserved-slots-used",
        Severity.CRITICAL if gone else Severity.WARNING,
        ceilings.certainty,
        "server",
        f"{min(used, reserved)} of {reserved} reserved slots taken",
        detail=tuple(detail),
        evidence=(
            Evidence(f"{count(len(sessions), 'slot')} are taken without pgusher's own"),
            Evidence(f"ordinary roles can take {ceilings.ordinary}, by {ceilings.source}", ceilings.certainty),
        ),
        remedies=tuple(remedies),
        holder=programs[0][0].name if len(programs) == 1 else None,
        symptom=True,
    )
