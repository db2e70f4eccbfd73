"""too little could be seen to say who holds the slots."""

from __future__ import annotations

from collections.abc import Iterator

from pgusher.diagnose.text import count
from pgusher.model.evidence import Certainty, Gap
from pgusher.model.findings import Evidence, Finding, Remedy, Safety, Severity
from pgusher.model.holder import Chain, ChainEnd
from pgusher.model.session import Session

WORST = Severity.NOTE

RATIO = 0.25
"""The share of the sessions whose holder may be unknown."""
_BLIND = frozenset({ChainEnd.HIDDEN, ChainEnd.UNKNOWN})


def check(
    sessions: tuple[Session, ...], chains: dict[int, Chain], gaps: tuple[Gap, ...], ratio: float
) -> Iterator[Finding]:
    """Sessions of this host whose process may not be read, or could not be found. Another host's are not counted."""
    blind = [s for s in sessions if s.pid in chains and chains[s.pid].end in _BLIND]
    if not blind or len(blind) < ratio * len(sessions):
        return
    hidden = sum(chains[s.pid].end is ChainEnd.HIDDEN for s in blind)
    opens = list(dict.fromkeys(gap.opens for gap in gaps if gap.opens))
    remedies = [Remedy(text, Safety.SAFE) for text in opens[:3]] or [
        Remedy("see what is missing", Safety.SAFE, "pgusher doctor")
    ]
    yield Finding(
        "half-blind",
        Severity.NOTE,
        Certainty.PROVEN,
        "server",
        f"the holder of {len(blind)} of {count(len(sessions), 'session')} could not be seen",
        detail=(
            f"{hidden} are held by processes that may not be read, {len(blind) - hidden} by what could not be found.",
            *(f"{gap.what}: {gap.why}." for gap in gaps[:4]),
        ),
        evidence=(Evidence(f"{count(len(blind), 'chain')} {'ends' if len(blind) == 1 else 'end'} without a holder"),),
        remedies=tuple(remedies),
        sessions=tuple(s.pid for s in blind),
        symptom=True,
    )
