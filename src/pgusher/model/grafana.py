"""Grafana as a holder of slots: its data sources, how many sessions each may take, and who said so.

A data source has a pool of its own in each process of Grafana and for each organisation it was copied to. How large
that pool may get is the setting of the data source, or else that of grafana.ini, or else what its version takes by
default. What Grafana keeps for its own tables is another pool, told apart (`Grafana.own`).
"""

from __future__ import annotations

from enum import StrEnum

from pgusher.model.evidence import Certainty, Gap
from pgusher.model.values import dataclass

TYPES = frozenset({"postgres", "grafana-postgresql-datasource"})
"""The `type` of a PostgreSQL data source: the first is the old word, which newer versions still accept."""


class Seen(StrEnum):
    """How a Grafana was seen."""

    API = "api"
    FILES = "files"
    """Its provisioning files and grafana.ini."""
    SQLITE = "sqlite"
    """Its own embedded database, besides its files."""


@dataclass(frozen=True, slots=True)
class Figure:
    """One number, and who says so."""

    value: int | None
    """Sessions or seconds; None for no limit."""
    origin: str
    """ "jsonData of the data source", "max_open_conns_default in /etc/grafana/grafana.ini:412", "default of 9.5 on"."""
    default: bool = False
    """Nobody set it: it is what this version takes by itself."""
    certainty: Certainty = Certainty.PROVEN
    """LIKELY where it is a default and the version is not known."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What the pool of one data source may do in one process of Grafana."""

    max_open: Figure
    """Sessions at once; None for no limit."""
    max_idle: Figure
    """Sessions that stay open when idle; None where that number plays no part (from 12.4 on)."""
    lifetime: Figure
    """Seconds after which a session is replaced; None for never."""
    idle_time: Figure
    """Seconds after which an idle session is closed; None for never."""
    broken: str = ""
    """Why a pool with these settings does not work in this version; "" when it does."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a data source, or one of its settings, is written."""

    file: str
    """As Grafana sees it."""
    line: int = 0
    """From 1; 0 when it is not known."""


@dataclass(frozen=True, slots=True)
class DataSource:
    """One PostgreSQL data source of one organisation. No password is in it."""

    uid: str
    name: str
    """What a person called it: hostile text, cleaned and redacted."""
    org: int
    type: str
    host: str | None
    """Where the server is, from Grafana's point of view; None for a unix socket, and when it is not told."""
    port: int
    database: str
    user: str
    limits: Limits
    socket_dir: str | None = None
    """The directory of the server's unix socket, when it is reached by one."""
    version: int | None = None
    """The object's version, which an update must name; None when only a list, or a file, told of it."""
    read_only: bool = False
    """Provisioned from a file: the API refuses to change it."""
    id: int | None = None
    """Its number in Grafana's database, by which old versions name it."""
    place: Place | None = None
    """The provisioning file that it comes from, where that was found."""
    limit_place: Place | None = None
    """The line there that sets maxOpenConns; None when it is not set there."""

    @property
    def where(self) -> str:
        """Its server, for people: "db1:5432", "/run/postgresql"."""
        if self.socket_dir is not None:
            return self.socket_dir
        host = self.host or "?"
        return f"[{host}]:{self.port}" if ":" in host else f"{host}:{self.port}"


@dataclass(frozen=True, slots=True)
class OwnDatabase:
    """The pool that Grafana has for its own tables, where those are in PostgreSQL ([database] in grafana.ini)."""

    host: str | None
    port: int
    database: str
    user: str
    max_open: Figure
    max_idle: Figure
    lifetime: Figure
    socket_dir: str | None = None


@dataclass(frozen=True, slots=True)
class Grafana:
    """One Grafana: all its processes that have the same data sources."""

    name: str
    """How a person finds it: its URL, or the path of its configuration."""
    version: str | None
    """"12.1.0"; None when not known."""
    seen: Seen
    sources: tuple[DataSource, ...] = ()
    """The PostgreSQL ones, by organisation and name."""
    replicas: int = 1
    """Its processes, each of which has all these pools, as far as they were seen."""
    replicas_from: str = "one is assumed"
    """Who says so."""
    processes: tuple[int, ...] = ()
    """Their pids, where they run on this host."""
    own: OwnDatabase | None = None
    """None where its own tables are not in PostgreSQL, or where that is not known."""
    gaps: tuple[Gap, ...] = ()
    default_open: Figure | None = None
    """What a data source without a limit of its own may take, where grafana.ini says so."""

    def may_take(self) -> int | None:
        """The sessions that all its data sources may take together, in all its processes; None for no limit.

        Its own database is not counted.
        """
        total = 0
        for source in self.sources:
            most = source.limits.max_open.value
            if most is None:
                return None
            total += most * self.replicas
        return total
