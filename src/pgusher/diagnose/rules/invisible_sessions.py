"""clients that have not finished their login hold slots."""

from __future__ import annotations

from collections.abc import Iterator

from pgusher.diagnose.remedies import alter_system, look
from pgusher.diagnose.room import Room
from pgusher.diagnose.text import SECOND, count, span
from pgusher.model.address import Micros
from pgusher.model.evidence import Certainty
from pgusher.model.findings import Evidence, Finding, Remedy, Safety, Severity
from pgusher.model.holder import Chain
from pgusher.model.session import Session

WORST = Severity.CRITICAL

RATIO = 0.1
"""The share of the ordinary slots that may be logging in at one moment."""
_MOMENT = SECOND
"""A login takes milliseconds."""


def check(
    sessions: tuple[Session, ...], chains: dict[int, Chain], now: Micros, room: Room, ratio: float
) -> Iterator[Finding]:
    """Sessions in authentication, before 18 shown by pg_locks and the process titles only."""
    found = [s for s in sessions if s.state == "authenticating" and _age(s, now) >= _MOMENT]
    if not found or room.share(len(found)) < ratio:
        return
    names = sorted({chains[s.pid].holder for s in found if s.pid in chains})
    ages = [_age(s, now) for s in found if s.started_about is not None or s.backend_start is not None]
    oldest = f", the oldest for {span(max(ages))}" if ages else ""
    yield Finding(
        "invisible-sessions",
        room.severity(len(found)),
        Certainty.PROVEN,
        "server",
        f"{count(len(found), 'slot')} held by clients that have not logged in{oldest}",
        detail=(
            f"They come from {', '.join(names[:4])}.",
            "Before PostgreSQL 18 pg_stat_activity does not show them, and they count all the same.",
        ),
        evidence=(Evidence(f"{found[0].seen_by.value} shows them in authentication"),),
        remedies=(
            look(names[0] if len(names) == 1 else None),
            alter_system("authentication_timeout = '10s'", "give a login less time than the 60 s it has"),
            Remedy("keep strangers off the port: a firewall, listen_addresses", Safety.SAFE),
        ),
        holder=names[0] if len(names) == 1 else None,
        sessions=tuple(s.pid for s in found),
        slots=len(found),
        since=now - max(ages) if ages else None,
    )


def _age(session: Session, now: Micros) -> Micros:
    started = session.backend_start if session.backend_start is not None else session.started_about
    return _MOMENT if started is None else now - started
