"""sessions come and go faster than a pool would let them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from pgusher.diagnose.remedies import look
from pgusher.diagnose.room import Room
from pgusher.diagnose.text import SECOND, listed
from pgusher.model.evidence import Certainty
from pgusher.model.findings import Evidence, Finding, Remedy, Safety, Severity
from pgusher.model.snapshot import Snapshot

WORST = Severity.WARNING
RATIO = 0.05
"""The share of the ordinary slots that may change hands in a second."""
_ENOUGH = 0.1
"""As many must have ended between the two looks: a restart of one program is no churn."""


def check(snapshot: Snapshot, earlier: Snapshot, room: Room, ratio: float) -> Iterator[Finding]:
    """What the server counted between two looks, less what is there now and was not: so many have come and gone."""
    now, before = snapshot.facts, earlier.facts
    elapsed = (now.taken_at - before.taken_at) / SECOND
    if now.server.opened is None or before.server.opened is None or elapsed <= 0:
        return
    if now.server.started != before.server.started:
        return  # another life of the server: its counters may have begun anew
    opened = now.server.opened - before.server.opened
    ended = opened - (snapshot.taken - earlier.taken)
    rate = ended / elapsed
    if room.share(ended) < _ENOUGH or rate < ratio * room.ordinary:
        return
    names = {chain.pid: chain.holder for chain in snapshot.chains}
    young = Counter(
        names[s.pid]
        for s in snapshot.slot_sessions
        if s.pid in names and not s.own and (s.backend_start or 0) > before.taken_at
    )
    detail = [f"{opened} sessions were opened in {elapsed:.1f} s, and {ended} have ended."]
    if young:
        most = listed([f"{name} ({number})" for name, number in young.most_common()])
        detail.append(f"Of those that are there now these were opened since: {most}.")
    holder = young.most_common(1)[0][0] if young else None
    evidence = [Evidence(f"pg_stat_database.sessions rose by {opened} between two looks")]
    if holder is not None:
        evidence.append(Evidence(f"{holder} has the most of the new ones", Certainty.GUESSED))
    yield Finding(
        "connection-churn",
        Severity.WARNING,
        Certainty.PROVEN if holder is None else Certainty.GUESSED,
        "server",
        f"{rate:.0f} sessions a second come and go, on {room.ordinary} ordinary slots",
        detail=tuple(detail),
        evidence=tuple(evidence),
        remedies=(
            look(holder),
            Remedy("let the program keep its sessions: give it a pool, or put a pooler before it", Safety.SAFE),
        ),
        holder=holder,
    )
