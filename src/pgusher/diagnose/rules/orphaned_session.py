"""the client of a session is gone, and the server has not noticed."""

from __future__ import annotations

from collections.abc import Iterator

from pgusher.diagnose.case import Held
from pgusher.diagnose.remedies import alter_system, terminate
from pgusher.diagnose.room import Room
from pgusher.diagnose.text import SECOND, count
from pgusher.model.address import Micros
from pgusher.model.findings import Evidence, Finding, Severity
from pgusher.model.holder import HolderKind
from pgusher.model.session import Session

WORST = Severity.CRITICAL

_MOMENT = 2 * SECOND
"""A session that is just being closed is in this state for a moment."""


def check(holders: tuple[Held, ...], now: Micros, room: Room | None = None) -> Iterator[Finding]:
    """Sessions whose client's end does not exist any more, and that did not just end."""
    for held in holders:
        if held.holder.kind is not HolderKind.GONE:
            continue
        left = [s for s in held.sessions if now - _last(s, now) >= _MOMENT]
        if left:
            yield _finding(held, left, room)


def _last(session: Session, now: Micros) -> Micros:
    """When something was last heard of it; long ago when nothing tells."""
    told = (session.state_change, session.query_start, session.backend_start, session.started_about)
    return max((moment for moment in told if moment is not None), default=now - _MOMENT)


def _finding(held: Held, left: list[Session], room: Room | None) -> Finding:
    busy = [s for s in left if s.state == "active"]
    number = count(len(left), "session")
    detail = []
    if busy:
        detail.append(f"{len(busy)} of them run a statement: the server looks for its client only when that is done.")
    if len(busy) < len(left):
        detail.append("Of an idle one the server hears when TCP gives the client up, which may take two hours.")
    return Finding(
        "orphaned-session",
        room.severity(len(left)) if room is not None else Severity.WARNING,
        held.holder.certainty,
        held.name,
        f"{number} of clients that are gone: nobody can use them any more",
        detail=tuple(detail),
        evidence=(Evidence("the kernel has no client's end for them", held.holder.certainty),),
        remedies=(
            terminate(left, None, "what a statement that still runs has written" if busy else ""),
            alter_system(
                "client_connection_check_interval = '10s'",
                "let the server look for its clients while a statement runs (14 and newer)",
            ),
            alter_system("tcp_keepalives_idle = 60", "let TCP give a vanished client up sooner"),
        ),
        holder=held.name,
        sessions=tuple(s.pid for s in left),
        slots=len(left),
        since=min((s.backend_start for s in left if s.backend_start is not None), default=None),
    )
