"""sessions wait in the middle of a transaction for their client to go on."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from pgusher.diagnose.case import Held
from pgusher.diagnose.remedies import alter_role, look, terminate
from pgusher.diagnose.room import Room
from pgusher.diagnose.text import MINUTE, SECOND, count, span
from pgusher.model.address import Micros
from pgusher.model.evidence import Certainty
from pgusher.model.findings import Evidence, Finding, Severity
from pgusher.model.session import Session

WORST = Severity.CRITICAL

RATIO = 0.1
"""The share of the ordinary slots that may be idle in transaction at one moment."""
_LONG = 5 * MINUTE
"""So long no program needs to think between two statements of one transaction."""
_MOMENT = 2 * SECOND
"""Shorter than this is a program at work."""
YIELDS_TO = ("blocked-by-idle", "stuck-job", "dead-thread-holds-slots")


def check(
    holders: tuple[Held, ...], quiet: Mapping[int, Micros], now: Micros, ratio: float, room: Room | None = None
) -> Iterator[Finding]:
    """Those that have been so for five minutes; and many at once that have been so for more than a moment."""
    for held in holders:
        waiting = [
            s
            for s in held.sessions
            if (s.state or "").startswith("idle in transaction") and quiet.get(s.pid, 0) >= _MOMENT
        ]
        long = [s for s in waiting if quiet[s.pid] >= _LONG]
        many = room is not None and waiting and room.share(len(waiting)) >= ratio
        chosen = waiting if many else long
        if chosen:
            yield _finding(held, chosen, quiet, now, room)


def _finding(
    held: Held, sessions: list[Session], quiet: Mapping[int, Micros], now: Micros, room: Room | None
) -> Finding:
    longest = max(quiet[s.pid] for s in sessions)
    aborted = sum(1 for s in sessions if s.state == "idle in transaction (aborted)")
    detail = ["Each keeps its locks, and keeps vacuum from removing what was deleted since it began."]
    if aborted:
        detail.append(f"{aborted} of them had an error, and can do nothing more than roll back.")
    roles = sorted({s.user for s in sessions if s.user})
    number = count(len(sessions), "session")
    remedies = [
        look(held.name, why=True),
        terminate(sessions, min(quiet[s.pid] for s in sessions), "what these transactions have not committed"),
    ]
    if len(roles) == 1:
        remedies.append(
            alter_role(
                roles[0],
                "SET idle_in_transaction_session_timeout = '5min'",
                "let the server end such transactions of this role",
                "what is not committed when a client pauses for longer than that",
            )
        )
    return Finding(
        "idle-in-transaction",
        room.severity(len(sessions)) if room is not None else Severity.WARNING,
        Certainty.PROVEN,
        held.name,
        f"{held.name}: {number} idle in transaction, for {span(longest)} at most",
        detail=tuple(detail),
        evidence=(Evidence("the server says that they are idle in transaction, and since when"),),
        remedies=tuple(remedies),
        holder=held.name,
        sessions=tuple(s.pid for s in sessions),
        processes=held.holder.processes,
        slots=len(sessions),
        since=now - longest,
    )
