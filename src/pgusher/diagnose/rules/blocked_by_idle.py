"""sessions wait for a lock of one that does nothing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from pgusher.diagnose.case import IDLE
from pgusher.diagnose.hung import sentences, surest
from pgusher.diagnose.remedies import look, terminate
from pgusher.diagnose.room import Room
from pgusher.diagnose.text import SECOND, count, fit, span
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
    """One finding for each session at the head of a queue that waits for its client, not for the server."""
    by_pid = {session.pid: session for session in activity}
    queues: dict[int, list[Session]] = {}
    for session in activity:
        if session.blocked_by and now - (session.query_start or now) >= _MOMENT:
            for head in _heads(session, by_pid):
                queues.setdefault(head, []).append(session)
    for head, waiting in sorted(queues.items()):
        blocker = by_pid.get(head)
        if head == _PREPARED:
            yield _prepared(waiting, now, room)
        elif blocker is not None and blocker.state in IDLE and quiet.get(head, 0) >= _MOMENT:
            yield _finding(blocker, waiting, quiet[head], chains, now, room, _hang_of(blocker, chains, hangs))


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
    blocker: Session,
    waiting: list[Session],
    silent: Micros,
    chains: Mapping[int, Chain],
    now: Micros,
    room: Room | None,
    hang: Hang | None,
) -> Finding:
    chain = chains.get(blocker.pid)
    holder = chain.holder if chain is not None else None
    longest = max(now - (s.query_start or now) for s in waiting)
    slots = len(waiting) + 1
    mine = _processes(chain)
    same = [s for s in waiting if mine & _processes(chains.get(s.pid))]
    detail = [f"Session {blocker.pid} is {blocker.state}, and has been for {span(silent)}."]
    if same:
        detail.append(
            "A session of the same process is among those that wait: if one of its threads waits for the other, it is a"
            " deadlock that PostgreSQL cannot see."
        )
    if hang is not None:
        detail += sentences(hang)
    name = holder or f"session {blocker.pid}"
    return Finding(
        "blocked-by-idle",
        room.severity(slots) if room is not None else Severity.WARNING,
        Certainty.PROVEN,
        name,
        fit(f"{name}: idle session blocks {count(len(waiting), 'session')}, for {span(longest)} at most"),
        detail=tuple(detail),
        evidence=(Evidence(f"pg_blocking_pids leads from {count(len(waiting), 'session')} to {blocker.pid}"),),
        remedies=(
            look(holder, why=True),
            terminate([blocker], silent, "what its transaction has not committed", "end the session that blocks"),
        ),
        holder=holder,
        sessions=(blocker.pid, *(s.pid for s in waiting)),
        processes=tuple(sorted(mine)),
        slots=slots,
        since=now - longest,
        file=hang.file if hang is not None else None,
        line=hang.line if hang is not None else None,
        thread=hang.thread if hang is not None else None,
    )


def _hang_of(blocker: Session, chains: Mapping[int, Chain], hangs: tuple[Hang, ...]) -> Hang | None:
    """Why the client of the one that blocks does not go on: by the session, else by its process."""
    mine = _processes(chains.get(blocker.pid))
    told = [hang for hang in hangs if hang.still is not False]
    return surest(hang for hang in told if blocker.pid in hang.sessions or hang.pid in mine)


def _prepared(waiting: list[Session], now: Micros, room: Room | None) -> Finding:
    longest = max(now - (s.query_start or now) for s in waiting)
    return Finding(
        "blocked-by-idle",
        room.severity(len(waiting)) if room is not None else Severity.WARNING,
        Certainty.PROVEN,
        "prepared transaction",
        fit(f"a prepared transaction blocks {count(len(waiting), 'session')}, for {span(longest)} at most"),
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
