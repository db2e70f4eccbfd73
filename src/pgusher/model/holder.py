"""Chains and holders: what attribution concludes from the facts."""

from __future__ import annotations

from enum import StrEnum

from pgusher.model.address import Micros
from pgusher.model.evidence import Certainty
from pgusher.model.values import dataclass


class LinkKind(StrEnum):
    """What a link leads to, from the session outwards."""

    SOCKET = "socket"
    PROCESS = "process"
    PARENT = "parent"
    """An ancestor of the process that says what it is part of (a gunicorn master, a shell of cron's)."""
    CRON = "cron"
    UNIT = "unit"
    TIMER = "timer"
    CONTAINER = "container"
    PROGRAM = "program"
    TERMINAL = "terminal"
    REMOTE = "remote"
    LOAN = "loan"
    """The thread and line that has borrowed the session, by the ledger of its process."""
    PANEL = "panel"
    """The saved query of a Grafana's whose statement the session runs, or ran last."""


@dataclass(frozen=True, slots=True)
class Link:
    """One step from a session to its cause."""

    kind: LinkKind
    subject: str
    """What it leads to, for a person: "python version_history.py (pid 4711)"."""
    certainty: Certainty
    evidence: str
    """How it is known: "inode 81233 is open as fd 7"."""
    pid: int | None = None
    """The process it leads to, if it is one."""


class ChainEnd(StrEnum):
    """Where a chain ends, so that nothing is invented beyond it."""

    HOLDER = "holder"
    REMOTE = "remote"
    """At ip:port of another host."""
    GONE = "gone"
    """The client no longer exists."""
    HIDDEN = "hidden"
    """On this host, but what holds it may not be read."""
    UNKNOWN = "unknown"
    OWN = "pgusher"


@dataclass(frozen=True, slots=True)
class Chain:
    """All links of one session, and the holder it ends at."""

    pid: int
    backend_start: Micros | None
    end: ChainEnd
    holder: str
    """The name of its holder."""
    links: tuple[Link, ...] = ()
    conflicts: tuple[str, ...] = ()
    """Facts that contradict each other: "application_name says 'web', the process is psql"."""

    @property
    def certainty(self) -> Certainty:
        """That of the weakest link to the holder. What a Grafana wanted the session for says nothing of whose it is."""
        return Certainty.weakest(*(link.certainty for link in self.links if link.kind is not LinkKind.PANEL))


class HolderKind(StrEnum):
    """What a person can name and stop."""

    CRON = "cron"
    UNIT = "unit"
    CONTAINER = "container"
    SERVICE = "service"
    """A known program's own process tree, with nothing above it that starts it again."""
    SCRIPT = "script"
    TERMINAL = "terminal"
    REMOTE = "remote"
    GONE = "gone"
    HIDDEN = "hidden"
    UNKNOWN = "unknown"
    OWN = "pgusher"


@dataclass(frozen=True, slots=True)
class Holder:
    """What holds slots. `name` is short and stable; other commands take it."""

    name: str
    """"cron/version_history", "unit/orders-api", "remote/10.0.0.7"."""
    kind: HolderKind
    title: str
    """One line for a person: "cron job */10 * * * * python version_history.py (root)"."""
    sessions: tuple[int, ...]
    """Pids of its server processes that take a slot, oldest first."""
    processes: tuple[int, ...] = ()
    """Pids of the client processes that hold them, oldest first."""
    runs: int = 0
    """How many separate runs (cron) or instances of it hold slots; 0 when the word has no meaning for it."""
    program: str | None = None
    """The known program it is, or runs in: "gunicorn", "Grafana"."""
    limit: str | None = None
    """The setting that limits how many slots it takes, with where to find it."""
    stop: str | None = None
    """How a person stops it: "systemctl stop orders-api"."""
    since: Micros | None = None
    """Start of its oldest session."""
    certainty: Certainty = Certainty.PROVEN
    """The weakest of its chains."""
