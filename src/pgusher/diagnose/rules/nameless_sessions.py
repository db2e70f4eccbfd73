"""most sessions bear no application_name, and the slots run out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from pgusher.diagnose.case import Held
from pgusher.diagnose.room import Room
from pgusher.diagnose.text import count, listed
from pgusher.model.evidence import Certainty
from pgusher.model.findings import Evidence, Finding, Remedy, Safety, Severity
from pgusher.model.session import SeenBy, Session

WORST = Severity.NOTE

RATIO = 0.5
"""The share of the sessions that may be without a name."""


def check(sessions: tuple[Session, ...], holders: tuple[Held, ...], room: Room, ratio: float) -> Iterator[Finding]:
    """Sessions whose application_name is empty. One that may not be read is not counted."""
    told = [s for s in sessions if s.seen_by is SeenBy.ACTIVITY and s.application_name is not None]
    nameless = {s.pid for s in told if not s.application_name}
    if not room.near or not told or len(nameless) < ratio * len(told):
        return
    counts = Counter({held.name: sum(s.pid in nameless for s in held.sessions) for held in holders})
    most = [f"{name} ({number})" for name, number in counts.most_common(4) if number]
    yield Finding(
        "nameless-sessions",
        Severity.NOTE,
        Certainty.PROVEN,
        "server",
        f"{len(nameless)} of {count(len(told), 'session')} without an application_name",
        detail=(
            f"They are of {listed(most)}.",
            "In pg_stat_activity and in the server's log nothing tells them apart.",
        ),
        evidence=(Evidence(f"application_name is empty for {count(len(nameless), 'session')}"),),
        remedies=(
            Remedy("name them: application_name=... in the connection string, or PGAPPNAME", Safety.SAFE),
            Remedy("where the program is not yours, name its role: ALTER ROLE ... SET application_name", Safety.SAFE),
        ),
        sessions=tuple(sorted(nameless)),
    )
