"""a process waits for something that will never come, and keeps its sessions meanwhile."""

from __future__ import annotations

from collections.abc import Iterator

from pgusher.diagnose.case import Held
from pgusher.diagnose.hung import certainty_of, evidence_of, is_told, sentences, surest, where
from pgusher.diagnose.remedies import end_processes
from pgusher.diagnose.room import Room
from pgusher.diagnose.text import count, fit
from pgusher.model.findings import Finding, Remedy, Safety, Severity
from pgusher.model.holder import Chain, LinkKind
from pgusher.model.session import Session
from pgusher.model.stacks import Hang

WORST = Severity.CRITICAL
YIELDS_TO = ("stuck-job",)
_Spot = tuple[str, str | None, int | None]


def check(
    hangs: tuple[Hang, ...], holders: tuple[Held, ...], chains: dict[int, Chain], room: Room | None = None
) -> Iterator[Finding]:
    """One finding for each line at which processes of one holder hang."""
    told = {hang.pid: hang for hang in hangs if is_told(hang)}
    if not told:
        return
    for held in holders:
        spots: dict[_Spot, tuple[list[Hang], list[Session]]] = {}
        for session in held.sessions:
            hung = surest(told[pid] for pid in _processes(chains.get(session.pid)) if pid in told)
            if hung is not None:
                group = spots.setdefault((hung.mechanism, hung.file, hung.line), ([], []))
                group[1].append(session)
                if hung not in group[0]:
                    group[0].append(hung)
        for found, sessions in spots.values():
            yield _finding(held, found, sessions, len(spots) > 1, room)


def _processes(chain: Chain | None) -> list[int]:
    links = chain.links if chain is not None else ()
    return [link.pid for link in links if link.kind is LinkKind.PROCESS and link.pid is not None]


def _finding(held: Held, hangs: list[Hang], sessions: list[Session], several: bool, room: Room | None) -> Finding:
    hang = surest(hangs) or hangs[0]
    place = where(hang)
    slots = count(len(sessions), "slot")
    processes = tuple(sorted({one.pid for one in hangs}))
    many = f"{len(processes)} processes hang" if len(processes) > 1 else "hangs"
    message = f"{held.name}: {many} in {place}, {slots}" if place else f"{held.name}: {many}, {slots}"
    remedies = []
    if hang.raised is not None:
        raised = hang.raised
        remedies.append(Remedy(f"correct {raised.file}:{raised.line}: {raised.how}"[:300], Safety.SAFE))
    remedies.append(end_processes(processes, "what it had not finished; it would never finish it by itself"))
    remedies.append(
        Remedy(f"then start it again; to stop it for good: {held.holder.stop or 'see its title'}", Safety.SAFE)
    )
    since = min((one.since for one in hangs if one.since is not None), default=None)
    return Finding(
        "dead-thread-holds-slots",
        room.severity(len(sessions)) if room is not None else Severity.WARNING,
        certainty_of(hang),
        f"{held.name}:{place}" if several and place else held.name,
        fit(message),
        detail=sentences(hang),
        evidence=evidence_of(hang),
        remedies=tuple(remedies),
        holder=held.name,
        sessions=tuple(s.pid for s in sessions),
        processes=processes,
        slots=len(sessions),
        since=since,
        file=hang.file,
        line=hang.line,
        thread=hang.thread,
    )
