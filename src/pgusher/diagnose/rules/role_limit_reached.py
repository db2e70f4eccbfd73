"""a role or a database is at its own CONNECTION LIMIT."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from pgusher.diagnose.case import Held
from pgusher.diagnose.remedies import look
from pgusher.diagnose.text import listed
from pgusher.model.evidence import Certainty
from pgusher.model.findings import Evidence, Finding, Remedy, Safety, Severity
from pgusher.model.server import Ceiling, Limit, View

WORST = Severity.CRITICAL

_REFUSALS = {Ceiling.ROLE: "role", Ceiling.DATABASE: "database"}


def check(
    view: View, holders: tuple[Held, ...], limits: tuple[tuple[str, Limit], ...] | None = None
) -> Iterator[Finding]:
    """A limit that is set and used up. A limit of 0 locks a role out on purpose: that is no finding."""
    for kind, limit in limits or ():
        if limit.limit > 0 and limit.used >= limit.limit:
            yield _reached(kind, limit, holders)
    if limits is None:
        yield from _refused(view)


def _reached(kind: str, limit: Limit, holders: tuple[Held, ...]) -> Finding:
    field = "user" if kind == "role" else "database"
    counts = Counter({held.name: sum(getattr(s, field) == limit.name for s in held.sessions) for held in holders})
    most = [(name, number) for name, number in counts.most_common(3) if number]
    first = most[0] if most else None
    alone = first is not None and first[1] * 2 >= limit.used
    return Finding(
        "role-limit-reached",
        Severity.CRITICAL,
        Certainty.PROVEN,
        f"{kind}/{limit.name}",
        f"{kind} {limit.name}: {limit.used} of {limit.limit} connections taken",
        detail=(f"They are held by {listed([f'{name} ({number})' for name, number in most])}.",) if most else (),
        evidence=(Evidence(f"pg_catalog says CONNECTION LIMIT {limit.limit}, and {limit.used} sessions are of it"),),
        remedies=(
            look(first[0] if first else None),
            Remedy(f"if so many are meant, raise it: ALTER {kind.upper()} ... CONNECTION LIMIT n", Safety.SAFE),
        ),
        holder=first[0] if first is not None and alone else None,
        symptom=True,
    )


def _refused(view: View) -> Iterator[Finding]:
    """Without SQL the limits are not known, but the refusal itself may tell which it was."""
    for attempt in view.attempts:
        kind = _REFUSALS.get(attempt.ceiling) if attempt.ceiling is not None else None
        if kind is not None:
            yield Finding(
                "role-limit-reached",
                Severity.CRITICAL,
                Certainty.PROVEN,
                f"{kind}/refused",
                f"the server refuses a session for its {kind} limit: {attempt.outcome}",
                evidence=(Evidence(f"{attempt.target}: {attempt.outcome}"),),
                remedies=(Remedy("look as another role: pgusher -U ROLE", Safety.SAFE),),
                symptom=True,
            )
            return
