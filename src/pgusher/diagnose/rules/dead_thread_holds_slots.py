"""a process waits for something that will never come, and keeps its sessions meanwhile."""

from __future__ import annotations

from collections.abc import Iterator

from pgusher.diagnose.case import Held
from pgusher.diagnose.hung import (
    UNKNOWN,
    basename,
    behind,
    certainty_of,
    evidence_of,
    is_told,
    sentences,
    stands_still,
    surest,
    where,
)
from pgusher.diagnose.remedies import end_processes
from pgusher.diagnose.room import Room
from pgusher.diagnose.text import WIDTH, count
from pgusher.model.findings import Finding, Remedy, Safety, Severity
from pgusher.model.holder import Chain, HolderKind, LinkKind
from pgusher.model.session import Session
from pgusher.model.stacks import Hang

WORST = Severity.CRITICAL
YIELDS_TO = ("stuck-job",)
_Spot = tuple[str, str | None, int | None]


def check(
    hangs: tuple[Hang, ...], holders: tuple[Held, ...], chains: dict[int, Chain], room: Room | None = None
) -> Iterator[Finding]:
    """One finding for each line at which processes of one holder hang."""
    every = {hang.pid: hang for hang in hangs if is_told(hang)}
    # Who waits for another that hangs goes on when that one has ended: it is told with it.
    ends = {pid: end for pid, hang in every.items() if (end := behind(hang, every)) is not None}
    known = {pid: hang for pid, hang in every.items() if pid not in ends}
    still = {hang.pid: hang for hang in hangs if stands_still(hang)}
    if not known and not still:
        return
    for held in holders:
        # A service may stand still for days, and be well; a job or script is there to come to an end.
        told = {**known, **(still if held.holder.kind in (HolderKind.CRON, HolderKind.SCRIPT) else {})}
        spots: dict[_Spot, tuple[list[Hang], list[Session]]] = {}
        for session in held.sessions:
            hung = surest(told[pid] for pid in _processes(chains.get(session.pid)) if pid in told)
            if hung is not None:
                group = spots.setdefault((hung.mechanism, hung.file, hung.line), ([], []))
                group[1].append(session)
                if hung not in group[0]:
                    group[0].append(hung)
        for found, sessions in spots.values():
            mine = {hang.pid for hang in found}
            waiting = [every[pid] for pid, end in sorted(ends.items()) if end in mine]
            yield _finding(held, found, sessions, len(spots) > 1, room, waiting)


def _message(name: str, many: str, hang: Hang, slots: str) -> str:
    """The most that fits on one line: the place is worth more than what it costs, which is told elsewhere too."""
    place = where(hang)
    if not place:
        return f"{name}: {many}, {slots}"
    said = [f"{name}: {many} in {place}, {slots}", f"{name}: {many} in {place}"]
    if hang.file:
        said.append(f"{name}: {many} at {basename(hang.file)}:{hang.line}")
        said.append(f"{name.rpartition('/')[2]}: {many} at {basename(hang.file)}:{hang.line}")
    return next((one for one in said if len(one) <= WIDTH), said[-1])


def _waits_too(hang: Hang) -> str:
    what = hang.waits_for or "it"
    return f"Process {hang.pid} waits for it at {where(hang) or 'a line not known'} ({what}), and would go on."


def _processes(chain: Chain | None) -> list[int]:
    links = chain.links if chain is not None else ()
    return [link.pid for link in links if link.kind is LinkKind.PROCESS and link.pid is not None]


def _severity(hang: Hang, slots: int, room: Room | None) -> Severity:
    if hang.mechanism == UNKNOWN:
        return Severity.NOTE
    return room.severity(slots) if room is not None else Severity.WARNING


def _finding(
    held: Held, hangs: list[Hang], sessions: list[Session], several: bool, room: Room | None, waiting: list[Hang]
) -> Finding:
    hang = surest(hangs) or hangs[0]
    place = where(hang)
    slots = count(len(sessions), "slot")
    processes = tuple(sorted({one.pid for one in hangs}))
    many = f"{len(processes)} processes hang" if len(processes) > 1 else "hangs"
    if hang.mechanism == UNKNOWN:
        many = "stands still"
    message = _message(held.name, many, hang, slots)
    remedies = []
    if hang.raised is not None:
        raised = hang.raised
        remedies.append(Remedy(f"correct {raised.file}:{raised.line}: {raised.how}"[:300], Safety.SAFE))
    remedies.append(end_processes(processes, "what it had not finished; it would never finish it by itself"))
    if held.holder.stop and held.holder.kind not in (HolderKind.CRON, HolderKind.SCRIPT):
        remedies.append(Remedy(f"or stop all of it: {held.holder.stop}"[:300], Safety.UNSAFE, "", "what else it does"))
    since = min((one.since for one in hangs if one.since is not None), default=None)
    return Finding(
        "dead-thread-holds-slots",
        _severity(hang, len(sessions), room),
        certainty_of(hang),
        f"{held.name}:{place}" if several and place else held.name,
        message,
        detail=(*sentences(hang), *(_waits_too(one) for one in waiting[:4])),
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
