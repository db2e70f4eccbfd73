"""Looking at the server of a test, and comparing what comes out with the truth."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from pgusher.app.look import Looker
from pgusher.app.request import Request
from pgusher.demo.server import EmbeddedServer
from pgusher.model.evidence import Certainty
from pgusher.model.holder import Chain, LinkKind
from pgusher.model.snapshot import Snapshot
from tests.bed import TrueSession, Truth
from tests.bed.bed import MONITOR


@contextmanager
def looking(server: EmbeddedServer, **more: Any) -> Iterator[Looker]:
    """What looks at this server: as a member of pg_monitor, unless told otherwise."""
    request = Request(**({"dsn": server.dsn(MONITOR, "postgres")} | more))
    looker = Looker(request)
    try:
        yield looker
    finally:
        looker.close()


def look(server: EmbeddedServer, **more: Any) -> Snapshot:
    """One look at this server."""
    with looking(server, **more) as looker:
        (snapshot,) = looker.look().snapshots
        return snapshot


def chain_of(snapshot: Snapshot, backend: int) -> Chain:
    """The chain of one session; it has exactly one."""
    (chain,) = (chain for chain in snapshot.chains if chain.pid == backend)
    return chain


def processes_of(chain: Chain) -> set[int]:
    """The processes that a chain names as having the socket open."""
    return {link.pid for link in chain.links if link.kind is LinkKind.PROCESS and link.pid is not None}


def wrong_links(snapshot: Snapshot, truth: Truth, *, by_sql: bool = True) -> list[str]:
    """Where a snapshot and the truth differ: in both directions, so that nothing is missing and nothing is wrong."""
    found = []
    told = {session.backend_pid: session for session in truth.sessions if session.backend_pid}
    for chain in snapshot.chains:
        session = told.pop(chain.pid, None)
        if session is not None:
            found += _differences(snapshot, chain, session, by_sql)
        elif named := processes_of(chain) & truth.pids:
            found.append(f"{chain.pid} is no session of theirs, yet leads to {sorted(named)}")
    found += [f"session {backend} has no chain" for backend in told]
    return found


def _differences(snapshot: Snapshot, chain: Chain, session: TrueSession, by_sql: bool) -> list[str]:
    shown = next(s for s in snapshot.facts.sessions if s.pid == chain.pid)
    pairs: dict[str, tuple[object, object]] = {
        "processes": (processes_of(chain), session.pids),
        "user": (shown.user, session.user),
        "database": (shown.database, session.database),
    }
    sockets = [link for link in chain.links if link.kind in {LinkKind.SOCKET, LinkKind.PROCESS}]
    pairs["certainty"] = ({link.certainty for link in sockets}, {Certainty.PROVEN})
    if by_sql:
        pairs["start"] = (chain.backend_start, session.backend_start)
        pairs["state"] = (shown.state, session.state)
        pairs["queried"] = (shown.query_start is not None, session.queried)
        pairs["waits for"] = (set(shown.blocked_by), set(session.waits_for))
    return [f"{chain.pid} {name}: {a!r} is not {b!r}" for name, (a, b) in pairs.items() if a != b]
