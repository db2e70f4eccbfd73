"""A moment as Prometheus reads it: the same series before, while and after a server is full.

Source of the form: Prometheus documentation, "Exposition formats", version 0.0.4.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from pgusher.model.findings import Diagnosis
from pgusher.model.server import Ceiling, Rung
from pgusher.model.snapshot import Snapshot
from pgusher.model.text import clean
from pgusher.surfaces.render.tally import Doing, doing, tally

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
MOST_HOLDERS = 20
"""Holders with a series of their own; the others are summed: each name is a series that is kept for ever."""
_LONGEST = 120

Labels = tuple[tuple[str, str], ...]
Sample = tuple[str, Labels, float]

_STATES = {
    Doing.IDLE: "idle",
    Doing.ACTIVE: "active",
    Doing.TRANSACTION: "idle_in_transaction",
    Doing.OTHER: "other",
}
FAMILIES: tuple[tuple[str, str, str], ...] = (
    ("pgusher_up", "gauge", "1 when the last look showed the server, 0 when it did not."),
    ("pgusher_slots", "gauge", "Slots by what their session does; with state=free they sum to pgusher_slots_max."),
    ("pgusher_slots_max", "gauge", "max_connections: all slots there are."),
    ("pgusher_slots_ordinary_max", "gauge", "Slots that a role without privileges can take."),
    ("pgusher_slots_taken", "gauge", "Taken slots, pgusher's own included."),
    ("pgusher_full", "gauge", "1 when an ordinary role gets no slot now."),
    ("pgusher_holder_slots", "gauge", "Slots by holder: those with most by name, all others as other."),
    ("pgusher_limit_used", "gauge", "Taken slots of a role or database that has a CONNECTION LIMIT."),
    ("pgusher_limit_max", "gauge", "The CONNECTION LIMIT of a role or database."),
    ("pgusher_unstarted_connections", "gauge", "Connections that have not started a session; they take no slot."),
    ("pgusher_idle_in_transaction_oldest_seconds", "gauge", "Age of the oldest transaction whose session is idle."),
    ("pgusher_session_oldest_seconds", "gauge", "Age of the oldest session."),
    ("pgusher_findings", "gauge", "Findings by rule and severity."),
    ("pgusher_view_rung", "gauge", "1 for the rung from which the server is seen now, 0 for the others."),
    ("pgusher_own_slots", "gauge", "Slots that pgusher itself takes."),
    ("pgusher_gaps", "gauge", "What could not be read."),
    ("pgusher_seconds_to_full", "gauge", "Seconds until it is full at the present rate; +Inf when not filling."),
    ("pgusher_refused_looks_total", "counter", "Looks at which the server refused pgusher for lack of slots."),
    ("pgusher_logged_refusals_total", "counter", "Clients refused for lack of slots, by the server's own log."),
    ("pgusher_failed_looks_total", "counter", "Looks that showed nothing."),
    ("pgusher_looks_total", "counter", "Looks since the start."),
    ("pgusher_collect_duration_seconds", "gauge", "How long the last look took."),
    ("pgusher_last_look_timestamp_seconds", "gauge", "When it was looked last, in seconds since 1970."),
)  # fmt: skip


def snapshot_samples(
    snapshot: Snapshot, diagnosis: Diagnosis, up: bool = True, to_full: float | None = None
) -> list[Sample]:
    """The series of one server. `to_full`: seconds until it is full; None when it is not filling, or not known."""
    facts, sums = snapshot.facts, tally(snapshot)
    own: Labels = (("server", facts.server.label.removeprefix("port ")),)
    ceilings, now = facts.ceilings, facts.taken_at
    slots = [session for session in facts.sessions if session.takes_slot]
    does = dict.fromkeys(_STATES, 0)
    for session in slots:
        does[doing(session)] += 1
    samples: list[Sample] = [
        ("pgusher_up", own, float(up)),
        ("pgusher_slots_taken", own, sums.taken),
        ("pgusher_full", own, float(sums.status.finding)),
        ("pgusher_unstarted_connections", own, sums.unstarted),
        ("pgusher_own_slots", own, sum(session.own for session in slots)),
        ("pgusher_gaps", own, len(facts.gaps)),
        ("pgusher_seconds_to_full", own, float("inf") if to_full is None else to_full),
    ]
    samples += [("pgusher_slots", (*own, ("state", word)), does[state]) for state, word in _STATES.items()]
    if ceilings is not None:
        free = max(0, ceilings.max_connections - sums.taken)
        samples += [
            ("pgusher_slots", (*own, ("state", "free")), free),
            ("pgusher_slots_max", own, ceilings.max_connections),
            ("pgusher_slots_ordinary_max", own, ceilings.ordinary),
        ]
        for kind, limits in (("role", ceilings.roles), ("database", ceilings.databases)):
            for limit in limits:
                labels = (*own, ("kind", kind), ("name", limit.name))
                samples += [("pgusher_limit_used", labels, limit.used), ("pgusher_limit_max", labels, limit.limit)]
    held = sorted(snapshot.holders, key=lambda holder: -len(holder.sessions))
    for holder in held[:MOST_HOLDERS]:
        labels = (*own, ("holder", holder.name), ("kind", holder.kind.value))
        samples.append(("pgusher_holder_slots", labels, len(holder.sessions)))
    rest = sum(len(holder.sessions) for holder in held[MOST_HOLDERS:])
    samples.append(("pgusher_holder_slots", (*own, ("holder", "other"), ("kind", "other")), rest))
    waiting = [s.xact_start for s in slots if doing(s) is Doing.TRANSACTION and s.xact_start is not None]
    started = [s.backend_start for s in slots if s.backend_start is not None]
    for name, moments in (("pgusher_idle_in_transaction_oldest_seconds", waiting),
                          ("pgusher_session_oldest_seconds", started)):  # fmt: skip
        samples.append((name, own, max(0.0, (now - min(moments)) / 1e6) if moments else 0.0))
    found: dict[tuple[str, str], int] = {}
    for finding in diagnosis.findings:
        key = finding.rule, finding.severity.value
        found[key] = found.get(key, 0) + 1
    for (rule, severity), number in sorted(found.items()):
        samples.append(("pgusher_findings", (*own, ("rule", rule), ("severity", severity)), number))
    for rung in Rung:
        word = rung.value.replace(" ", "_")
        samples.append(("pgusher_view_rung", (*own, ("rung", word)), float(facts.view.rung is rung)))
    return samples


def refusal_samples(label: str, totals: Mapping[str | None, int] | None) -> list[Sample]:
    """Those of a server's log by the ceiling, zeros too: a counter that begins with one has not grown.

    Nothing at all for a server whose log cannot be read (None).
    """
    if totals is None:
        return []
    return [
        (
            "pgusher_logged_refusals_total",
            (("server", label.removeprefix("port ")), ("ceiling", (ceiling or "unknown").replace(" ", "_"))),
            totals.get(ceiling, 0),
        )
        for ceiling in (*(one.value for one in Ceiling), None)
    ]


def exposition(samples: Iterable[Sample]) -> str:
    """The whole text: each family with its help, all its samples together."""
    families: dict[str, list[Sample]] = {}
    for sample in samples:
        families.setdefault(sample[0], []).append(sample)
    lines: list[str] = []
    for name, kind, told in FAMILIES:
        if name in families:
            lines += [f"# HELP {name} {told}", f"# TYPE {name} {kind}"]
            lines += [_line(sample) for sample in families[name]]
    return "\n".join(lines) + "\n"


def names() -> Sequence[str]:
    """The names of all series there can be."""
    return [name for name, _, _ in FAMILIES]


def _line(sample: Sample) -> str:
    name, labels, value = sample
    text = ",".join(f'{label}="{_quoted(word)}"' for label, word in labels)
    number = "+Inf" if value == float("inf") else f"{value:.15g}"
    return f"{name}{{{text}}} {number}" if text else f"{name} {number}"


def label(text: str) -> str:
    """A label's value: harmless, and short."""
    return clean(text)[:_LONGEST]


def _quoted(text: str) -> str:
    """The same with the three signs that the form escapes."""
    return label(text).replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
