"""a person's session has been idle for hours."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from pgusher.attribute.programs import ProgramKind
from pgusher.diagnose.case import Held
from pgusher.diagnose.crowd import kind_of, said_kind
from pgusher.diagnose.remedies import alter_role
from pgusher.diagnose.room import Room
from pgusher.diagnose.stuck import listens
from pgusher.diagnose.text import HOUR, MINUTE, count, span
from pgusher.model.address import Micros
from pgusher.model.evidence import Certainty
from pgusher.model.findings import Evidence, Finding, Remedy, Safety, Severity
from pgusher.model.holder import HolderKind
from pgusher.model.session import Session

WORST = Severity.CRITICAL

_DAY_OF_WORK = 8 * HOUR
"""Who has not come back by then has gone home."""
_SCARCE = 10 * MINUTE
"""The same while the slots run out."""
_OF_PEOPLE = (ProgramKind.GUI, ProgramKind.SHELL)


def check(
    holders: tuple[Held, ...], quiet: Mapping[int, Micros], now: Micros, room: Room | None = None
) -> Iterator[Finding]:
    """Sessions of a terminal, of psql or of a window with which a person looks at a database."""
    long = _SCARCE if room is not None and room.near else _DAY_OF_WORK
    for held in holders:
        of_person = held.holder.kind is HolderKind.TERMINAL or kind_of(held) in _OF_PEOPLE
        idle = [
            s
            for s in held.sessions
            if s.state == "idle"
            and quiet.get(s.pid, 0) >= long
            and not listens(s.query)
            and (of_person or said_kind(held, s) in _OF_PEOPLE)
        ]
        if idle:
            yield _finding(held, idle, of_person, quiet, now, room)


def _finding(
    held: Held, idle: list[Session], seen: bool, quiet: Mapping[int, Micros], now: Micros, room: Room | None
) -> Finding:
    longest = max(quiet[s.pid] for s in idle)
    how = "its process says so" if seen else "application_name says so, which anybody can set"
    certainty = held.holder.certainty if seen else Certainty.GUESSED
    roles = sorted({s.user for s in idle if s.user})
    remedies = [Remedy(held.holder.stop or "ask who it is", Safety.SAFE)]
    if len(roles) == 1:
        remedies.append(
            alter_role(
                roles[0],
                "SET idle_session_timeout = '8h'",
                "let the server end idle sessions, if this role is a person's (14 and newer)",
            )
        )
    return Finding(
        "forgotten-session",
        room.severity(len(idle)) if room is not None and room.near else Severity.NOTE,
        certainty,
        held.name,
        f"{held.name}: {count(len(idle), 'session')} of a person idle for {span(longest)}",
        detail=(f"{held.holder.title}.",),
        evidence=(
            Evidence(f"a person's program: {how}", certainty),
            Evidence(f"the last statement was {span(longest)} ago"),
        ),
        remedies=tuple(remedies),
        holder=held.name,
        sessions=tuple(s.pid for s in idle),
        processes=held.holder.processes,
        slots=len(idle),
        since=now - longest,
    )
