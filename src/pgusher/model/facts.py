"""Everything that was collected at one moment, before anything is concluded from it."""

from __future__ import annotations

from pgusher.model.address import Micros
from pgusher.model.evidence import Gap
from pgusher.model.grafana import Grafana
from pgusher.model.jobs import Container, CronEntry, Unit
from pgusher.model.loans import Loan
from pgusher.model.own_pools import OwnPool
from pgusher.model.panel_slots import PanelLook
from pgusher.model.poolers import Pooler
from pgusher.model.pools import PoolLimit
from pgusher.model.process import Host, Process
from pgusher.model.server import Ceilings, Server, Setting, View
from pgusher.model.session import Session
from pgusher.model.sockets import ClientSocket
from pgusher.model.stacks import ProcessStacks
from pgusher.model.values import dataclass


@dataclass(frozen=True, slots=True)
class Facts:
    """The facts and gaps of all sources. Saved as they are, so that a bug report can be replayed."""

    taken_at: Micros
    host: Host
    server: Server
    view: View
    ceilings: Ceilings | None = None
    """None when neither the server nor its files could tell."""
    sessions: tuple[Session, ...] = ()
    """All server processes that serve a client, also those that take no slot (walsenders)."""
    sockets: tuple[ClientSocket, ...] = ()
    processes: tuple[Process, ...] = ()
    """The processes that hold sessions, and all their ancestors."""
    cron: tuple[CronEntry, ...] = ()
    units: tuple[Unit, ...] = ()
    containers: tuple[Container, ...] = ()
    gaps: tuple[Gap, ...] = ()
    settings: tuple[Setting, ...] = ()
    """Settings of the server that have to do with slots; none without SQL."""
    loans: tuple[Loan, ...] = ()
    """What processes with a loan ledger say of the sessions in their pools."""
    stacks: tuple[ProcessStacks, ...] = ()
    """The threads of the processes that were looked into; none unless asked for, as it takes time."""
    pools: tuple[PoolLimit, ...] = ()
    """What programs say themselves of how many sessions they may take."""
    own_pools: tuple[OwnPool, ...] = ()
    """What pools of pgusher's own say of themselves."""
    poolers: tuple[Pooler, ...] = ()
    """The PgBouncers that hold sessions, by their configuration."""
    grafana: tuple[Grafana, ...] = ()
    """The Grafanas that were found, with their data sources."""
    panels: PanelLook | None = None
    """Which saved query each session of a Grafana's runs, or ran last; None where that was not asked."""
