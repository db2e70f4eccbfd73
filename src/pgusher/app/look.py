"""One look at every server that was asked for, or found: sources in, snapshots out."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from operator import attrgetter
from typing import TYPE_CHECKING

from pgusher.app.jobs import JobFacts, Jobs
from pgusher.app.request import Request
from pgusher.attribute import Attributor
from pgusher.attribute.pool_servers import pools_of
from pgusher.collect.discover import find_servers
from pgusher.collect.host import look_host
from pgusher.collect.ledgers import LedgerSource
from pgusher.collect.postgres import PostgresFacts, PostgresSource, Target, complaint, trusted
from pgusher.collect.postgres.connect import Connection
from pgusher.collect.postgres.unstarted import find_unstarted
from pgusher.collect.processes import ProcessFacts, ProcessSource
from pgusher.collect.sockets import SocketFacts, SocketSource
from pgusher.errors import UnreachableError, UsageError
from pgusher.model.address import Micros
from pgusher.model.evidence import Gap
from pgusher.model.facts import Facts
from pgusher.model.grafana import Grafana
from pgusher.model.poolers import Pooler
from pgusher.model.pools import PoolLimit
from pgusher.model.process import Host, Process
from pgusher.model.server import Rung, Server
from pgusher.model.session import Session
from pgusher.model.snapshot import Snapshot
from pgusher.model.values import dataclass, field

if TYPE_CHECKING:
    from pgusher.app.panel_links import PanelLinks

_Identities = tuple[tuple[int, Micros | None], ...]
_AT_LEAST = 0.5
"""Seconds for a server to answer when those before it have used up the time of a look: one of this host needs less."""
_identity = attrgetter("pid", "backend_start")
_MISTYPED = ("could not match ", "invalid port number", "invalid integer value", "invalid target_session_attrs value")
"""With these words libpq refuses what it was given, before it asks any server (source: fe-connect.c)."""
_DISCOVER_EVERY = 10.0
"""Seconds until a watch looks for further servers again."""


@dataclass(frozen=True, slots=True)
class Look:
    """What one look gave: a snapshot a server, the fullest first."""

    snapshots: tuple[Snapshot, ...]
    elapsed_ms: float
    """Wall-clock milliseconds that the look took."""
    gaps: tuple[Gap, ...] = ()
    """Gaps that belong to no server."""


@dataclass(frozen=True, slots=True)
class _Side:
    """The client's side of a server's sessions, as it was seen at one moment."""

    at: float
    sessions: _Identities
    unstarted: tuple[Session, ...]
    sockets: SocketFacts
    holders: set[int]
    processes: ProcessFacts
    jobs: JobFacts
    pools: tuple[PoolLimit, ...]
    grafana: tuple[Grafana, ...]
    poolers: tuple[Pooler, ...]
    gaps: tuple[Gap, ...]


_GRAFANA_KEPT = 30.0
"""Seconds."""
_Grafanas = tuple[tuple[tuple[int, int], ...], float, tuple[tuple[PoolLimit, ...], tuple[Grafana, ...]]]


@dataclass
class _Eye:
    """What is kept of one server between two looks: the connection, its sockets, the last conclusions."""

    target: Target
    postgres: PostgresSource
    sockets: SocketSource = field(default_factory=SocketSource)
    attributor: Attributor = field(default_factory=Attributor)
    side: _Side | None = None

    def close(self) -> None:
        """Give the slot back."""
        self.postgres.close()
        self.sockets.close()


class Looker:
    """Looks once, or again and again with what it kept: one connection a server, and what the kernel told before."""

    def __init__(
        self,
        request: Request,
        *,
        clock: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """`clock` gives the seconds since 1970 that a snapshot is dated with; `monotonic` measures."""
        self._request = request
        self._clock = clock
        self._monotonic = monotonic
        self._processes = ProcessSource()
        self._jobs = Jobs(request.config.crontabs)
        self._ledgers = LedgerSource()
        self._eyes: list[_Eye] | None = None
        self._seen: list[tuple[Server, _Eye]] = []
        self._gaps: tuple[Gap, ...] = ()
        self._discover_at = 0.0
        self._host: tuple[float, Host] | None = None
        self._grafanas: _Grafanas | None = None
        self._panels: PanelLinks | None = None

    def look(self) -> Look:
        """One look at everything.

        Raises UnreachableError when there is no server to look at, or not one of them showed anything at all.
        """
        began = self._monotonic()
        taken_at = int(self._clock() * 1_000_000)
        eyes = self._open_eyes(began)
        if self._host is None or began - self._host[0] >= self._request.patience:
            self._host = began, look_host()
        snapshots = [self._look_at(eye, began, taken_at, self._within(began, eyes)) for eye in eyes]
        self._seen = [(one.facts.server, eye) for one, eye in zip(snapshots, eyes, strict=True)]
        if all(s.facts.view.rung is Rung.NONE and s.facts.view.lacked is None for s in snapshots):
            raise _unreachable(snapshots)
        snapshots.sort(key=_fullness, reverse=True)
        return Look(tuple(snapshots), round((self._monotonic() - began) * 1000, 1), self._gaps)

    def _within(self, began: float, eyes: Sequence[_Eye]) -> float | None:
        """How long the next of several servers may take: anybody may run ten that never answer."""
        if len(eyes) == 1:
            return None
        return max(_AT_LEAST, began + self._request.timeout - self._monotonic())

    def close(self) -> None:
        """Give every slot back. A further look opens them again."""
        for eye in self._eyes or ():
            eye.close()
        self._eyes = None
        self._seen = []

    def connection(self, server: Server) -> Connection | None:
        """The one connection that is kept to a server of the last looks; None where it was seen without SQL."""
        eye = next((eye for seen, eye in self._seen if seen is server or seen.label == server.label), None)
        return eye.postgres.connection if eye is not None else None

    def _open_eyes(self, now: float) -> list[_Eye]:
        request = self._request
        if request.names_a_server() or request.config.dsn:
            if self._eyes is None:
                self._eyes = [self._eye(self._target(request.dsn or request.config.dsn))]
            return self._eyes
        if self._eyes is not None and now < self._discover_at:
            return self._eyes
        self._discover_at = now + _DISCOVER_EVERY
        found, self._gaps = find_servers()
        if request.port is not None:
            found = tuple(server for server in found if server.port == request.port)
            if not found:
                found, self._gaps = find_servers(thorough=True)
                found = tuple(server for server in found if server.port == request.port)
            if found:
                self._gaps = ()  # those are of the sockets of other servers
        if not found and not self._eyes:
            raise _none_found(request)
        self._eyes = self._match(found)
        return self._eyes

    def _match(self, found: Sequence[Server]) -> list[_Eye]:
        """Keep the eye of a server that is still there, close that of one that is gone, open one for a new server.

        A server that was restarted has another postmaster, but is the same server to whoever watches it.
        """
        kept = {_place(eye.target.server): eye for eye in self._eyes or () if eye.target.server is not None}
        if not found:  # a watch stays with what it saw, so that the restart of the only server is shown as that
            return list(kept.values())
        eyes = []
        for server in found:
            eye = kept.pop(_place(server), None)
            if eye is None or eye.target.server != server:
                if eye is not None:
                    eye.close()
                eye = self._eye(self._target(None, server))
            eyes.append(eye)
        for eye in kept.values():
            eye.close()
        # Those of the system's accounts and our own first: they do not wait for what anybody else has started.
        eyes.sort(key=lambda eye: eye.target.server is None or not trusted(eye.target.server, os.environ))
        return eyes

    def _eye(self, target: Target) -> _Eye:
        return _Eye(target, PostgresSource(target, timeout=self._request.timeout))

    def _target(self, dsn: str | None, server: Server | None = None) -> Target:
        request = self._request
        port = request.port if server is None else None
        for text in (dsn, request.database):
            if text is not None and ("=" in text or "://" in text) and (wrong := complaint(text)):
                raise UsageError(
                    f"the connection string cannot be read: {wrong}",
                    detail=f"it stands in {request.config.path}" if text is request.config.dsn else None,
                    hint="write it as for psql: postgresql://USER@HOST:PORT/DB, or host=HOST port=PORT dbname=DB",
                )
        return Target(
            conninfo=dsn,
            host=request.host,
            port=port,
            user=request.user,
            dbname=request.database,
            service=request.service,
            server=server,
            sql=request.sql,
        )

    def _look_at(self, eye: _Eye, now: float, taken_at: int, within: float | None) -> Snapshot:
        sample = eye.postgres.sample(within)
        side, sessions = eye.side, tuple(map(_identity, sample.sessions))
        if side is None or now - side.at >= self._request.patience or not _same(side.sessions, sessions):
            side = eye.side = self._client_side(eye, sample, sessions, now)
        ledgers = self._ledgers.read(one for one in side.processes.processes if one.pid in side.holders)
        host = self._host[1] if self._host else look_host()
        facts = Facts(
            taken_at=taken_at,
            host=host,
            server=sample.server,
            view=sample.view,
            ceilings=sample.ceilings,
            sessions=(*sample.sessions, *side.unstarted) if side.unstarted else sample.sessions,
            sockets=side.sockets.sockets,
            processes=side.processes.processes,
            cron=side.jobs.cron,
            units=side.jobs.units,
            containers=side.jobs.containers,
            gaps=(*sample.gaps, *side.gaps, *ledgers.gaps),
            settings=sample.settings,
            loans=ledgers.loans,
            own_pools=pools_of(sample.server, host, ledgers.pools, ledgers.loans, sample.sessions),
            pools=side.pools,
            poolers=side.poolers,
            grafana=side.grafana,
        )
        return self._with_panels(eye, eye.attributor.attribute(facts))

    def _with_panels(self, eye: _Eye, snapshot: Snapshot) -> Snapshot:
        """With the saved query of each session of a Grafana's; what reads dashboards is loaded where there is one."""
        request, connection = self._request, eye.postgres.connection
        if not request.panels or connection is None:
            return snapshot
        named = os.environ.get("PGUSHER_GRAFANA_URL") or request.config.grafana_url
        if not named and not snapshot.facts.grafana:
            return snapshot
        if self._panels is None:
            from pgusher.app.panel_links import PanelLinks

            self._panels = PanelLinks(request.config, monotonic=self._monotonic)
        return self._panels.link(snapshot, connection, request.timeout)

    def _client_side(self, eye: _Eye, sample: PostgresFacts, sessions: _Identities, now: float) -> _Side:
        backends = [session.pid for session in sample.sessions]
        sockets = eye.sockets.look(sample.server, backends, full=eye.side is None)
        unstarted, unclear = find_unstarted(sample.server, sample.sessions, sockets.sockets)
        holders = _holders(sockets)
        processes = self._processes.look(holders)
        jobs = self._jobs.look(sockets.sockets, processes.processes)
        pools, grafana = self._grafana(processes.processes, now)
        poolers, lacking = _poolers(processes.processes)
        more = tuple(gap for one in grafana for gap in one.gaps)
        gaps = (*more, *lacking, *unclear, *sockets.gaps, *processes.gaps, *jobs.gaps)
        return _Side(now, sessions, unstarted, sockets, holders, processes, jobs, pools, grafana, poolers, gaps)

    def _grafana(self, processes: Sequence[Process], now: float) -> tuple[tuple[PoolLimit, ...], tuple[Grafana, ...]]:
        """What Grafana's files say, where there is one: seldom, so that what reads them is not loaded before.

        A watch reads them anew every half minute: its database and YAML cost more than the rest of a look.
        """
        found = tuple((one.pid, one.start_ticks) for one in processes if "grafana" in (one.exe or one.comm))
        if not found:
            return (), ()
        if self._grafanas is None or self._grafanas[0] != found or now - self._grafanas[1] >= _GRAFANA_KEPT:
            from pgusher.collect import grafana

            facts = grafana.look(processes)
            self._grafanas = found, now, (facts.pools, facts.grafanas)
        return self._grafanas[2]


def _same(before: _Identities, now: _Identities) -> bool:
    """Whether it is known that these are the same sessions: a pid alone may be another session's by now."""
    return before == now and all(start is not None for _, start in now)


def _holders(sockets: SocketFacts) -> set[int]:
    pids = {holder.pid for one in sockets.sockets for holder in one.holders}
    pids.update(one.connected_by for one in sockets.sockets if one.connected_by is not None)
    return pids


def _poolers(processes: Sequence[Process]) -> tuple[tuple[Pooler, ...], tuple[Gap, ...]]:
    """What PgBouncer's files say, where there is one."""
    if not any("pgbouncer" in (process.exe or process.comm) for process in processes):
        return (), ()
    from pgusher.collect import pgbouncer

    facts = pgbouncer.look(processes)
    return facts.poolers, facts.gaps


def _place(server: Server) -> tuple[int, tuple[str, ...], str | None]:
    return server.port, server.socket_paths, server.data_directory


def _fullness(snapshot: Snapshot) -> tuple[float, int]:
    ceilings = snapshot.facts.ceilings
    share = snapshot.taken / ceilings.max_connections if ceilings and ceilings.max_connections else 0.0
    view = snapshot.facts.view
    if view.refuses or view.refuses_all or view.lacked is not None:
        share = max(share, 1.0)  # it says so itself, also where its ceilings may not be read
    return share, snapshot.taken


def _none_found(request: Request) -> UnreachableError:
    if request.port is not None:
        message = f"no PostgreSQL server was found on port {request.port} of this host"
    else:
        message = "no PostgreSQL server was found on this host"
    return UnreachableError(
        message,
        detail="looked at the unix sockets, the listening ports and the processes",
        hint="name one: pgusher -h HOST -p PORT, or pgusher --dsn postgresql://...; as root more can be seen",
    )


def _unreachable(snapshots: Sequence[Snapshot]) -> UnreachableError | UsageError:
    facts = snapshots[0].facts
    if wrong := next((one.outcome for one in facts.view.attempts if one.outcome.startswith(_MISTYPED)), None):
        lists = "name a port for each host, or one for all"
        return UsageError(wrong, hint=lists if wrong.startswith(_MISTYPED[0]) else None)
    tried = [f"{attempt.target}: {attempt.outcome}" for one in snapshots for attempt in one.facts.view.attempts]
    one = len(snapshots) == 1
    if one and any("no password supplied" in attempt.outcome for attempt in facts.view.attempts):
        return UnreachableError(
            f"server on {facts.server.label} asks for a password, and none was given",
            detail="; ".join(tried),
            hint="export PGPASSWORD, or put a line HOST:PORT:DATABASE:ROLE:PASSWORD into ~/.pgpass (mode 600)",
        )
    if any(attempt.sqlstate for snapshot in snapshots for attempt in snapshot.facts.view.attempts):
        return UnreachableError(
            f"server on {facts.server.label} let nobody in"
            if one
            else f"none of {len(snapshots)} servers let anybody in",
            detail="; ".join(tried),
            hint="name a role that may log in: -U ROLE; or run pgusher on the server's own host, as root",
        )
    return UnreachableError(
        f"server on {facts.server.label} could not be reached" if one else f"none of {len(snapshots)} servers answered",
        detail="; ".join(tried) or None,
        hint="check the address, or run pgusher on the server's own host, as root if it may be full",
    )
