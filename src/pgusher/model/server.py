"""The server: which one it is, its ceilings, and from where it was seen."""

from __future__ import annotations

from enum import StrEnum

from pgusher.model.address import Micros
from pgusher.model.evidence import Certainty
from pgusher.model.values import dataclass


@dataclass(frozen=True, slots=True)
class Server:
    """One PostgreSQL server (a postmaster and its port)."""

    port: int
    host: str | None = None
    """What a client was told to connect to: a name, an address or a socket directory; None when found by itself."""
    local: bool = False
    """True when its postmaster runs on this host, so that sockets and processes can be joined."""
    version: str | None = None
    """As the server writes it: "18.6"."""
    version_num: int | None = None
    """As server_version_num: 180006."""
    postmaster_pid: int | None = None
    started: Micros | None = None
    data_directory: str | None = None
    socket_paths: tuple[str, ...] = ()
    """Paths of its unix sockets (/run/postgresql/.s.PGSQL.5432); an abstract one starts with "@"."""
    listens: tuple[str, ...] = ()
    """Numeric addresses it listens on: "127.0.0.1", "::", "0.0.0.0"."""
    os_user: str | None = None
    os_uid: int | None = None
    cluster_name: str | None = None
    in_recovery: bool | None = None
    opened: int | None = None
    """Sessions that it has opened since its statistics were reset (pg_stat_database.sessions); None before 14, and
    without SQL."""

    @property
    def label(self) -> str:
        """How a person names it: host and port, or the port alone for a local one."""
        if self.host and not self.host.startswith(("/", "@")):
            return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"
        return f"port {self.port}"


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting of the server that has to do with slots, as a session without settings of its own gets it."""

    name: str
    value: str
    unit: str | None = None
    """"ms", "s", "kB", "8kB" ... as in pg_settings; None for a number or word."""
    source: str | None = None
    """Where the value comes from, as in pg_settings: "default", "configuration file", "user" ..."""


@dataclass(frozen=True, slots=True)
class Limit:
    """A CONNECTION LIMIT of one role or database, and how much of it is taken."""

    name: str
    limit: int
    used: int


@dataclass(frozen=True, slots=True)
class Ceilings:
    """The four ceilings over the slots. Unset limits (-1) are not listed.

    An ordinary role can take max_connections - superuser_reserved - reserved slots; source: PostgreSQL
    documentation, "Connections and Authentication", and src/backend/utils/init/postinit.c.
    """

    max_connections: int
    superuser_reserved: int = 3
    reserved: int = 0
    """reserved_connections, from 16 on: for members of pg_use_reserved_connections."""
    roles: tuple[Limit, ...] = ()
    databases: tuple[Limit, ...] = ()
    certainty: Certainty = Certainty.PROVEN
    """PROVEN from the running server; LIKELY from its files (a changed file needs a restart to count)."""
    source: str = "pg_settings"

    @property
    def ordinary(self) -> int:
        """Slots that a role without privileges can take."""
        return max(0, self.max_connections - self.superuser_reserved - self.reserved)


class Rung(StrEnum):
    """From which rung of the ladder the sessions were seen, best first."""

    HELD = "held connection"
    ORDINARY = "ordinary slot"
    RESERVED = "reserved slot"
    TITLES = "process titles"
    """No SQL at all: the titles of the server's processes and the kernel's socket tables."""
    NONE = "nothing"


class Ceiling(StrEnum):
    """Which of the ceilings a refusal for lack of slots was about."""

    ALL = "all slots"
    """Not one slot is left, not even for a superuser."""
    RESERVED = "ordinary slots"
    """Only slots that are reserved for others are left."""
    ROLE = "role limit"
    DATABASE = "database limit"


@dataclass(frozen=True, slots=True)
class Attempt:
    """One try to get a session, and how it ended. Secrets are redacted."""

    target: str
    """What was tried, without any password: "user=postgres host=/run/postgresql port=5432"."""
    outcome: str
    """"connected", or the server's or the system's words."""
    sqlstate: str | None = None
    """Five characters, when the server gave one: 53300 is "too many connections" in every language."""
    refused_by: str | None = None
    """Who refused: "postgres", or a pooler's name when its words give it away; None when nobody answered."""
    ceiling: Ceiling | None = None
    """Which ceiling a refusal for lack of slots was about, by the routine that raised it; None when it is not told."""

    @property
    def lacks_slots(self) -> bool:
        """Whether it was refused for lack of slots, by the server or by a pooler before it: then it was reached.

        PgBouncer says so with 08P01 (source: src/client.c).
        """
        return self.sqlstate == "53300" or (self.refused_by == "PgBouncer" and "no more connections" in self.outcome)


@dataclass(frozen=True, slots=True)
class View:
    """From where the server was seen."""

    rung: Rung
    attempts: tuple[Attempt, ...] = ()
    role: str | None = None
    """The role of pgusher's own session."""
    superuser: bool | None = None
    sees_all: bool | None = None
    """Whether other roles' sessions are shown whole: pg_read_all_stats, pg_monitor or superuser."""
    own_pid: int | None = None
    refuses: str | None = None
    """The words with which the server refuses ordinary roles right now, when it does."""
    refuses_all: bool = False
    """True when even a superuser would be refused: every slot is taken (a 53300 before authentication)."""
    pooler: bool = False
    """True when a pooler stands between pgusher and the server: the login named another process than the query."""

    @property
    def lacked(self) -> Attempt | None:
        """The last try that was refused for lack of slots, where none of them got a session."""
        if self.rung not in {Rung.NONE, Rung.TITLES}:
            return None
        return next((attempt for attempt in reversed(self.attempts) if attempt.lacks_slots), None)
