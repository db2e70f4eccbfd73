"""Which server a data source of Grafana's means: as far as names and numbers tell, without asking anybody."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from pgusher.model.facts import Facts
from pgusher.model.grafana import DataSource, Grafana, OwnDatabase
from pgusher.model.snapshot import Snapshot

_LOOPBACK = frozenset({"localhost", "localhost.localdomain", "::1"})


def points_at(source: DataSource | OwnDatabase, facts: Facts) -> bool | None:
    """Whether a data source means the server of these facts; None when that is not told.

    Its address is Grafana's view: "localhost" is taken for this host, also where Grafana is in a container. A name that
    would have to be looked up is not known.
    """
    server = facts.server
    if source.socket_dir is not None:
        if not server.local or not server.socket_paths:
            return None if server.local else False
        return f"{source.socket_dir.rstrip('/')}/.s.PGSQL.{source.port}" in server.socket_paths
    if source.port != server.port:
        return False
    host = (source.host or "").lower()
    if not host:
        return None
    if host in _LOOPBACK or host.startswith("127.") or host in facts.host.addresses or host == facts.host.name.lower():
        return server.local
    return True if server.host is not None and host == server.host.lower() else None


def sources_of(grafana: Grafana, snapshot: Snapshot) -> tuple[DataSource, ...]:
    """Its data sources that mean this server: by their address, or where that does not tell by sessions like theirs."""
    seen = {(session.user, session.database) for session in snapshot.slot_sessions}
    found = []
    for one in grafana.sources:
        points = points_at(one, snapshot.facts)
        if points or (points is None and (one.user, one.database) in seen):
            found.append(one)
    return tuple(found)


def server_of(snapshots: Sequence[Snapshot], grafanas: Iterable[Grafana]) -> Snapshot | None:
    """The server that most of the data sources mean; the first where none is told; None without a server."""
    known = tuple(grafanas)
    ranked = sorted(snapshots, key=lambda one: -sum(len(sources_of(grafana, one)) for grafana in known))
    return ranked[0] if ranked else None
