"""most sessions of a pool were never used."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from pgusher.diagnose.case import Held
from pgusher.diagnose.crowd import is_pooler
from pgusher.diagnose.room import Room
from pgusher.diagnose.text import HOUR, count
from pgusher.model.address import Micros
from pgusher.model.evidence import Certainty
from pgusher.model.findings import Evidence, Finding, Remedy, Safety, Severity
from pgusher.model.holder import HolderKind
from pgusher.model.session import Session

WORST = Severity.CRITICAL

RATIO = 0.25
"""The share of the ordinary slots that a pool may leave unused while there is room."""
_SCARCE = 0.1
"""The same while the slots run out."""
_NO_POOL = frozenset({HolderKind.TERMINAL, HolderKind.GONE, HolderKind.UNKNOWN})
YIELDS_TO = ("stuck-job", "dead-thread-holds-slots", "grafana-default-limit")


def check(
    holders: tuple[Held, ...],
    activity: tuple[Session, ...],
    quiet: Mapping[int, Micros],
    now: Micros,
    room: Room,
    ratio: float,
) -> Iterator[Finding]:
    """Holders that keep many sessions and use few.

    While there is room only sessions count that did not run one statement in an hour: a pool that is not busy at
    night is well. While the slots run out each counts that never ran one, and each that has not for an hour.
    """
    known = {session.pid for session in activity}
    for held in holders:
        if held.holder.kind in _NO_POOL or is_pooler(held):
            continue
        mine = [s for s in held.sessions if s.pid in known and s.state == "idle"]
        never = [s for s in mine if s.query_start is None and (room.near or _age(s, now) >= HOUR)]
        unused = never
        if room.near:
            unused = [s for s in mine if s.query_start is None or quiet.get(s.pid, 0) >= HOUR]
        enough = room.share(len(unused)) >= (min(ratio, _SCARCE) if room.near else ratio)
        if enough and 2 * len(unused) >= len(held.sessions):
            yield _finding(held, never, unused, room)


def _age(session: Session, now: Micros) -> Micros:
    return 0 if session.backend_start is None else now - session.backend_start


def _finding(held: Held, never: list[Session], unused: list[Session], room: Room) -> Finding:
    holder, total = held.holder, len(held.sessions)
    if len(never) == len(unused):
        what = f"{len(unused)} of {count(total, 'session')} never ran a statement"
    elif never:
        what = f"{len(unused)} of {count(total, 'session')} unused, {len(never)} of them never used"
    else:
        what = f"{len(unused)} of {count(total, 'session')} not used for an hour or longer"
    limit = f": {holder.limit}" if holder.limit else ""
    processes = len(holder.processes)
    detail = [f"It needed {total - len(unused)} of its {count(total, 'session')}."]
    if processes > 1:
        detail.append(f"They are held by {count(processes, 'process')}, each with a pool of its own.")
    return Finding(
        "idle-pool-oversized",
        room.severity(len(unused)),
        # What was used an hour ago may be needed at noon; what was never used was not needed yet.
        Certainty.weakest(Certainty.LIKELY if 2 * len(never) >= len(unused) else Certainty.GUESSED, holder.certainty),
        held.name,
        f"{held.name}: {what}",
        detail=tuple(detail),
        evidence=(
            Evidence(f"query_start is null for {len(never)} of its sessions: they never ran a statement"),
            Evidence(f"{len(unused)} of {room.ordinary} ordinary slots are held so"),
        ),
        remedies=(
            Remedy(
                f"make the pool smaller, then start it anew, as it keeps what it has open{limit}"[:300],
                Safety.SAFE,
            ),
        ),
        holder=held.name,
        sessions=tuple(s.pid for s in unused),
        processes=holder.processes,
        slots=len(unused),
        since=min((s.backend_start for s in unused if s.backend_start is not None), default=None),
    )
