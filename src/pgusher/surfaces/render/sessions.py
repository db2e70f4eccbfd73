"""The table of sessions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pgusher.model.holder import Chain, LinkKind
from pgusher.model.session import Session
from pgusher.model.snapshot import Snapshot
from pgusher.surfaces.render import words
from pgusher.surfaces.render.screen import Line, Screen
from pgusher.surfaces.render.table import Cell, Column, table
from pgusher.surfaces.render.tally import Doing, doing, holder_names, unstarted

MOST = 12
"""Sessions of one holder that a terminal shows unless all are asked for."""

_COLUMNS = (
    Column("process", right=True, optional=True),
    Column("pid", right=True),
    Column("user", least=6, drop=3, optional=True),
    Column("database", least=6, drop=3, optional=True),
    Column("state", least=4),
    Column("since", right=True, drop=1),
    Column("idle", right=True, drop=2, optional=True),
    Column("client", drop=6, optional=True),
    Column("waits for", least=10, optional=True),
    Column("statement", least=18, drop=5, optional=True),
)
_IN_A_PIPE = tuple(
    Column(title)
    for title in (
        "holder", "process", "pid", "user", "database", "application", "state", "since", "state since",
        "statement since", "client", "waits for", "blocked by", "seen by", "slot", "certainty", "statement",
    )
)  # fmt: skip
_ORDER = {Doing.TRANSACTION: 0, Doing.ACTIVE: 1, Doing.OTHER: 2, Doing.IDLE: 3}
_SHORT = {
    "idle in transaction": "in tx",
    "idle in transaction (aborted)": "tx aborted",
    "fastpath function call": "fastpath",
}


class View:
    """A snapshot with what many tables look up in it, found once."""

    def __init__(self, snapshot: Snapshot) -> None:
        self.snapshot = snapshot
        self.taken = snapshot.taken
        self.sessions = {session.pid: session for session in snapshot.facts.sessions}
        self.names = holder_names(snapshot)
        self.unstarted = unstarted(snapshot)


def ordered(sessions: Sequence[Session]) -> list[Session]:
    """At work first, then the oldest."""
    return sorted(sessions, key=lambda s: (_ORDER[doing(s)], s.backend_start or 0, s.pid))


def client_pids(chain: Chain) -> tuple[int, ...]:
    """The processes that hold the client's end; several after a fork."""
    return tuple(link.pid for link in chain.links if link.kind is LinkKind.PROCESS and link.pid is not None)


def session_table(
    screen: Screen, view: View, chains: Sequence[Chain], *, everything: bool = False, indent: str = "  "
) -> list[Line]:
    """The sessions of some chains. A terminal leaves out what is the same for all of them: `same_for_all` says it."""
    wanted = {chain.pid: chain for chain in chains}
    sessions = ordered([view.sessions[pid] for pid in wanted if pid in view.sessions])
    if screen.pipe:
        return table(screen, _IN_A_PIPE, [_whole(session, wanted[session.pid], view.names) for session in sessions])
    shown = sessions if everything or len(sessions) <= MOST + 1 else sessions[:MOST]
    several = len({client_pids(chain) for chain in chains}) > 1
    alike = _alike(sessions)
    rows = [_row(view, session, wanted[session.pid], several, alike) for session in shown]
    lines = table(screen, _COLUMNS, rows, indent=indent)
    if rest := sessions[len(shown) :]:
        kinds = ", ".join(dict.fromkeys(doing(session).value for session in rest))
        text = f"{words.count(len(rest), 'further session')}, {kinds}: --all shows them"
        lines.append([(f"{indent}{screen.sign('more')} {text}", "dim")])
    return lines


def same_for_all(sessions: Sequence[Session]) -> list[str]:
    """ "user app", "database orders": what needs no column."""
    return [f"{what} {value}" for what, value in _alike(sessions).items() if value]


def _alike(sessions: Sequence[Session]) -> dict[str, str | None]:
    values: dict[str, set[str | None]] = {
        "user": {session.user for session in sessions},
        "database": {session.database for session in sessions},
        "application": {session.application_name for session in sessions},
    }
    return {what: next(iter(found)) for what, found in values.items() if len(found) == 1}


def _row(view: View, session: Session, chain: Chain, several: bool, alike: Mapping[str, str | None]) -> list[Cell]:
    now = view.snapshot.facts.taken_at
    blocked = ", ".join(f"{pid} {view.names.get(pid, '')}".rstrip() for pid in session.blocked_by)
    waits = f"lock of {blocked}" if blocked else wait(session) if doing(session) is Doing.ACTIVE else ""
    state = session.state or "hidden"
    busy = doing(session) is Doing.TRANSACTION
    idle = session.state_change if doing(session) in {Doing.IDLE, Doing.TRANSACTION} else None
    return [
        ", ".join(map(str, client_pids(chain))) if several else "",
        str(session.pid),
        "" if "user" in alike else session.user or "-",
        "" if "database" in alike else session.database or "-",
        (_SHORT.get(state, state), "warn" if busy else "" if doing(session) is Doing.IDLE else "bold"),
        words.age(session.backend_start, now) or "-",
        words.age(idle, now),
        str(session.client),
        (waits, "warn" if blocked else ""),
        (session.query or "", "dim"),
    ]


def wait(session: Session) -> str:
    """What the server says the session waits for: "IO DataFileRead"."""
    return " ".join(filter(None, (session.wait_event_type, session.wait_event)))


def _whole(session: Session, chain: Chain, names: Mapping[int, str]) -> list[Cell]:
    return [
        names.get(session.pid, chain.holder),
        " ".join(map(str, client_pids(chain))),
        str(session.pid),
        session.user or "",
        session.database or "",
        session.application_name or "",
        session.state or "",
        words.iso(session.backend_start),
        words.iso(session.state_change),
        words.iso(session.query_start),
        str(session.client),
        wait(session),
        " ".join(map(str, session.blocked_by)),
        session.seen_by.value,
        "yes" if session.takes_slot else "no",
        chain.certainty.value,
        session.query or "",
    ]
