"""sessions wait for a lock of one that does nothing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from pgusher.diagnose.case import IDLE
from pgusher.diagnose.hung import sentences, surest
from pgusher.diagnose.remedies import look, terminate
from pgusher.diagnose.room import Room
from pgusher.diagnose.text import SECOND, count, listed, span
from pgusher.model.address import Micros
from pgusher.model.evidence import Certainty
from pgusher.model.findings import Evidence, Finding, Remedy, Safety, Severity
from pgusher.model.holder import Chain, LinkKind
from pgusher.model.session import Session
from pgusher.model.stacks import Hang

WORST = Severity.CRITICAL

_MOMENT = 2 * SECOND
"""Shorter than this is a program at work."""
_PREPARED = 0
"""What pg_blocking_pids says of a prepared transaction, which no session holds (its documentation)."""


def check(
    activity: tuple[Session, ...],
    quiet: Mapping[int, Micros],
    chains: Mapping[int, Chain],
    now: Micros,
    room: Room | None = None,
    hangs: tuple[Hang, ...] = (),
) -> Iterator[Finding]:
    """One finding for each holder of sessions at the head of a queue that wait for their client, not for the server."""
    by_pid = {session.pid: session for session in activity}
    queues: dict[int, list[Session]] = {}
    for session in activity:
        if session.blocked_by and now - (session.query_start or now) >= _MOMENT:
            for head in _heads(session, by_pid):
                queues.setdefault(head, []).append(session)
    by_holder: dict[str, list[Session]] = {}
    for head, waiting in sorted(queues.items()):
        blocker = by_pid.get(head)
        if head == _PREPARED:
            yield _prepared(waiting, now, room)
        elif blocker is not None and blocker.state in IDLE and quiet.get(head, 0) >= _MOMENT:
            chain = chains.get(head)
            by_holder.setdefault(chain.holder if chain is not None else f"session {head}", []).append(blocker)
    for blockers in by_holder.values():
        waiting = list({s.pid: s for blocker in blockers for s in queues[blocker.pid]}.values())
        yield _finding(blockers, waiting, quiet, chains, now, room, _hang_of(blockers, chains, hangs))


def _heads(session: Session, by_pid: Mapping[int, Session]) -> set[int]:
    """The sessions that a session waits for in the end: those that wait for nobody themselves."""
    heads, seen, todo = set(), {session.pid}, list(session.blocked_by)
    while todo:
        pid = todo.pop()
        if pid in seen:
            continue
        seen.add(pid)
        blocker = by_pid.get(pid)
        if blocker is not None and blocker.blocked_by:
            todo += blocker.blocked_by
        else:
            heads.add(pid)
    return heads


def _finding(
    blockers: list[Session],
    waiting: list[Session],
    quiet: Mapping[int, Micros],
    chains: Mapping[int, Chain],
    now: Micros,
    room: Room | None,
    hang: Hang | None,
) -> Finding:
    chain = chains.get(blockers[0].pid)
    holder = chain.holder if chain is not None else None
    longest = max(now - (s.query_start or now) for s in waiting)
    slots = len(waiting) + len(blockers)
    mine = {pid for blocker in blockers for pid in _processes(chains.get(blocker.pid))}
    same = [s for s in waiting if mine & _processes(chains.get(s.pid))]
    detail = [f"Session {one.pid} is {one.state}, and has been for {span(quiet[one.pid])}." for one in blockers[:4]]
    if same:
        detail.append(
            "A session of the same process is among those that wait: if one of its threads waits for the other, it is a"
            " deadlock that PostgreSQL cannot see."
        )
    if hang is not None:
        detail += sentences(hang)
    name = holder or f"session {blockers[0].pid}"
    who = "idle session blocks" if len(blockers) == 1 else f"{len(blockers)} idle sessions block"
    pids = listed([one.pid for one in blockers])
    what = "end the session that blocks" if len(blockers) == 1 else "end the sessions that block"
    silent = min(quiet[one.pid] for one in blockers)
    # Outside of a transaction only session-level advisory locks are held: so does the leader that others stand by for.
    designed = hang is None and all(one.state == "idle" for one in blockers)
    loses = "what its transaction has not committed"
    if all(one.state == "idle" for one in blockers):
        loses = "its advisory lock, which the next that waits will have"
    if designed:
        detail.append("It holds an advisory lock, as a leader does while others stand by: then all is well.")
    severity = room.severity(slots) if room is not None else Severity.WARNING
    return Finding(
        "blocked-by-idle",
        Severity.NOTE if designed else severity,
        Certainty.PROVEN,
        name,
        f"{name}: {who} {count(len(waiting), 'session')}, for up to {span(longest)}",
        detail=tuple(detail),
        evidence=(Evidence(f"pg_blocking_pids leads from {count(len(waiting), 'session')} to {pids}"),),
        remedies=(
            look(holder, why=True),
            terminate(blockers, silent, loses, what),
        ),
        holder=holder,
        sessions=(*(s.pid for s in blockers), *(s.pid for s in waiting)),
        processes=tuple(sorted(mine)),
        slots=slots,
        since=now - longest,
        file=hang.file if hang is not None else None,
        line=hang.line if hang is not None else None,
        thread=hang.thread if hang is not None else None,
    )


def _hang_of(blockers: list[Session], chains: Mapping[int, Chain], hangs: tuple[Hang, ...]) -> Hang | None:
    """Why the client of the one that blocks does not go on: of its own process, not of one that waits for it."""
    pids = {blocker.pid for blocker in blockers}
    mine = {pid for blocker in blockers for pid in _processes(chains.get(blocker.pid))}
    told = [hang for hang in hangs if hang.still is not False]
    own = [hang for hang in told if hang.pid in mine]
    return surest(own or [hang for hang in told if pids.intersection(hang.sessions[:1])])


def _prepared(waiting: list[Session], now: Micros, room: Room | None) -> Finding:
    longest = max(now - (s.query_start or now) for s in waiting)
    return Finding(
        "blocked-by-idle",
        room.severity(len(waiting)) if room is not None else Severity.WARNING,
        Certainty.PROVEN,
        "prepared transaction",
        f"a prepared transaction blocks {count(len(waiting), 'session')}, for {span(longest)} at most",
        detail=("No session holds it: it waits for its COMMIT PREPARED, also over a restart of the server.",),
        evidence=(Evidence("pg_blocking_pids gives 0, which stands for a prepared transaction"),),
        remedies=(
            Remedy("see which they are", Safety.SAFE, "SELECT * FROM pg_prepared_xacts ORDER BY prepared"),
            Remedy(
                "end it with COMMIT PREPARED, or ROLLBACK PREPARED", Safety.UNSAFE, "", "what it did, when rolled back"
            ),
        ),
        sessions=tuple(s.pid for s in waiting),
        slots=len(waiting),
        since=now - longest,
    )


def _processes(chain: Chain | None) -> set[int]:
    links = chain.links if chain is not None else ()
    return {link.pid for link in links if link.kind is LinkKind.PROCESS and link.pid is not None}
