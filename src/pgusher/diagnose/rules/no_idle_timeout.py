"""sessions idle for more than a day take slots, and no timeout would ever end them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping

from pgusher.diagnose.remedies import alter_role
from pgusher.diagnose.room import Room
from pgusher.diagnose.text import DAY, count, listed, span
from pgusher.model.address import Micros
from pgusher.model.evidence import Certainty
from pgusher.model.findings import Evidence, Finding, Severity
from pgusher.model.holder import Chain
from pgusher.model.server import Setting
from pgusher.model.session import Session

WORST = Severity.NOTE

RATIO = 0.25
"""The share of the ordinary slots that may be idle for so long while they run out."""


def check(
    settings: Mapping[str, Setting],
    sessions: tuple[Session, ...],
    quiet: Mapping[int, Micros],
    chains: Mapping[int, Chain],
    room: Room,
    ratio: float,
) -> Iterator[Finding]:
    """idle_session_timeout is 0 (the default), while it would have given many slots back."""
    timeout = settings.get("idle_session_timeout")
    if timeout is None or timeout.value != "0" or not room.near:
        return  # before 14 there is none: nothing could be set
    old = [s for s in sessions if quiet.get(s.pid, 0) >= DAY]
    if room.share(len(old)) < ratio:
        return
    roles = Counter(s.user for s in old if s.user)
    role = roles.most_common(1)[0][0] or "" if roles else ""
    holders = Counter(chains[s.pid].holder for s in old if s.pid in chains)
    longest = span(max(quiet[s.pid] for s in old))
    yield Finding(
        "no-idle-timeout",
        Severity.NOTE,
        Certainty.PROVEN,
        "server",
        f"{count(len(old), 'session')} idle for over a day, and idle_session_timeout is 0",
        detail=(
            f"The longest has been idle for {longest}.",
            f"They are of {listed([f'{name} ({number})' for name, number in holders.most_common()])}.",
        ),
        evidence=(Evidence("pg_settings says idle_session_timeout = 0: never"),),
        remedies=(
            alter_role(
                role,
                "SET idle_session_timeout = '1d'",
                "let the server end what is idle for longer than any pool keeps a session",
                "a pool that does not check a session before it lends it gives one error each",
            ),
        ),
        sessions=tuple(s.pid for s in old),
        slots=len(old),
    )
