"""what watches the server takes a good part of its slots."""

from __future__ import annotations

from collections.abc import Iterator

from pgusher.attribute.programs import ProgramKind
from pgusher.diagnose.case import Held
from pgusher.diagnose.crowd import kind_of, said_kind
from pgusher.diagnose.room import Room
from pgusher.diagnose.text import listed
from pgusher.model.evidence import Certainty
from pgusher.model.findings import Evidence, Finding, Remedy, Safety, Severity
from pgusher.model.session import Session

WORST = Severity.CRITICAL

RATIO = 0.2
"""The share of the ordinary slots that monitoring may take."""


def check(holders: tuple[Held, ...], room: Room, ratio: float) -> Iterator[Finding]:
    """Sessions of exporters, agents and health checks: by their process, or by the name that they send."""
    crowd: list[tuple[Held, list[Session]]] = []
    guessed = False
    for held in holders:
        if kind_of(held) is ProgramKind.MONITOR:
            crowd.append((held, list(held.sessions)))
        elif said := [s for s in held.sessions if said_kind(held, s) is ProgramKind.MONITOR]:
            crowd.append((held, said))
            guessed = True
    number = sum(len(sessions) for _, sessions in crowd)
    if not crowd or room.share(number) < ratio:
        return
    certainty = Certainty.GUESSED if guessed else Certainty.weakest(*(held.holder.certainty for held, _ in crowd))
    limits = sorted({held.holder.limit for held, _ in crowd if held.holder.limit})
    yield Finding(
        "monitor-crowd",
        room.severity(number),
        certainty,
        crowd[0][0].name if len(crowd) == 1 else "server",
        f"monitoring holds {room.part(number)}",
        detail=(f"It is {listed([f'{held.name} ({len(sessions)})' for held, sessions in crowd], 6)}.",),
        evidence=(Evidence("the processes are known monitors" if not guessed else "they say so", certainty),),
        remedies=(
            Remedy(
                f"let one of them look, and limit it: {'; '.join(limits)}"[:300] if limits else "let one of them look",
                Safety.SAFE,
            ),
            Remedy("limit their role: ALTER ROLE ... CONNECTION LIMIT n", Safety.SAFE),
        ),
        holder=crowd[0][0].name if len(crowd) == 1 else None,
        sessions=tuple(s.pid for _, sessions in crowd for s in sessions),
        processes=tuple(pid for held, _ in crowd for pid in held.holder.processes),
        slots=number,
    )
