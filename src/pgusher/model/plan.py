"""Plans: a frozen list of steps, each with the identity it acts on; what acting did; and what looking again showed.

A plan says what would be done, to whom exactly, why, and what it would lose. It is kept on disk for some minutes, so
that what is done is what was read; what has changed meanwhile is refused, not guessed at.
"""

from __future__ import annotations

from enum import StrEnum

from pgusher.model.address import Micros
from pgusher.model.evidence import Certainty
from pgusher.model.findings import Safety
from pgusher.model.values import dataclass


class Lever(StrEnum):
    """How a step gives slots back, or keeps them from being taken. The order is by `rank`, mildest first."""

    SOURCE = "source"
    """The limit of a data source of Grafana's, by its API: the next query gets a new pool, the old one is closed.

    Before the limit of its role, which would refuse what its pool still wants.
    """
    LIMIT = "limit"
    """ALTER ROLE ... CONNECTION LIMIT: only new sessions feel it."""
    TIMEOUTS = "timeouts"
    """ALTER ROLE ... SET idle_session_timeout and friends: only new sessions feel it."""
    DRAIN = "drain"
    """The process is asked to give back what is idle in its pools: it has pgusher's own `Database`."""
    CANCEL = "cancel"
    """pg_cancel_backend: the statement ends, the session stays."""
    TERMINATE = "terminate"
    """pg_terminate_backend."""
    END_BACKEND = "end_backend"
    """SIGTERM to the server process by its pidfd, where there is no SQL. Never KILL."""
    END_PROCESS = "end_process"
    """The client process with all its descendants: TERM, a grace, then KILL."""

    @property
    def rank(self) -> int:
        """0 for the mildest."""
        return _RANK[self]


_RANK = {lever: rank for rank, lever in enumerate(Lever)}


@dataclass(frozen=True, slots=True)
class SessionIdentity:
    """One session as it was when the plan was made. A session that is different in any of it is another, or awake."""

    pid: int
    backend_start: Micros | None
    """To the microsecond, as the server has it; None when the plan was made without SQL."""
    state: str | None
    """As in pg_stat_activity.state; by its title when the plan was made without SQL."""
    state_change: Micros | None
    """As for backend_start. A session that has slept since then has done nothing since then."""
    user: str | None = None
    database: str | None = None
    start_ticks: int | None = None
    """Start of the server process in clock ticks since boot (field 22 of /proc/PID/stat), where it runs on this host:
    its identity where there is no SQL."""


@dataclass(frozen=True, slots=True)
class ProcessIdentity:
    """One process of this host as it was when the plan was made."""

    pid: int
    start_ticks: int
    """Start in clock ticks since boot (field 22 of /proc/PID/stat)."""
    boot_id: str
    """/proc/sys/kernel/random/boot_id: ticks and pids begin anew with each boot."""
    pid_namespace: int | None = None
    """Inode of pgusher's own pid namespace, in which `pid` is meant (/proc/self/ns/pid); None when not readable."""
    command: str = ""
    """Its command line, redacted, for people: "python3 version_history.py"."""
    uid: int | None = None


@dataclass(frozen=True, slots=True)
class RoleSetting:
    """One setting of one role, before and after."""

    role: str
    setting: str
    """"CONNECTION LIMIT", or the name of a parameter: "idle_session_timeout"."""
    before: str | None
    """Its value when the plan was made, as text: "-1", "5min"; None when the parameter was not set for the role."""
    after: str | None
    """Its value when the step is done; None takes the parameter's setting away."""


@dataclass(frozen=True, slots=True)
class SourceChange:
    """The limit of one data source of Grafana's, before and after; and by what it is known to be the same."""

    url: str
    """Of Grafana."""
    org: int
    uid: str
    name: str
    before: str
    """`maxOpenConns` as its JSON had it when the plan was made: "100"; "" when it was not set."""
    after: int | None
    """Sessions; None takes the setting away, so that the default holds."""
    fields: tuple[str, ...] = ()
    """Of each other field its name and a digest, "user:9f86d081": when one of them is another, it is refused."""
    id: int | None = None
    """Its number, by which old versions know it."""
    grafana: str | None = None
    """The version of Grafana."""
    token_file: str | None = None
    """The file that the token came from; None when it came from the environment. The token is not kept."""
    user: str = ""
    database: str = ""
    replicas: int = 1
    alike: int = 0
    """Other data sources that log in by the same role into the same database: their sessions look like its own."""
    elsewhere: str = ""
    """Where it leads, when that is not the server that was looked at, as far as its port tells."""


@dataclass(frozen=True, slots=True)
class ServerIdentity:
    """Which server a plan is for."""

    port: int
    host: str | None = None
    """As `Server.host`."""
    local: bool = False
    """Its postmaster runs on this host."""
    started: Micros | None = None
    """pg_postmaster_start_time(), to the microsecond; None when the plan was made without SQL."""
    version_num: int | None = None
    postmaster: ProcessIdentity | None = None
    """The postmaster, where it runs on this host."""
    data_directory: str | None = None
    socket_paths: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Reach:
    """How the server was reached, so that the plan's second half reaches the same one. No password is in it."""

    dsn: str | None = None
    """A connection string; None as well when it held a password: then it has to be given again."""
    host: str | None = None
    port: int | None = None
    user: str | None = None
    database: str | None = None
    service: str | None = None
    sql: bool = True
    secret: bool = False
    """True when a connection string with a password was given, which is not kept."""


@dataclass(frozen=True, slots=True)
class Step:
    """One thing to do. It names the identity it acts on, and is refused when that has changed."""

    number: int
    """From 1 on, in the order in which they are done."""
    lever: Lever
    text: str
    """What it does, for people: "terminate session 4711 (app), idle for 3 hours"."""
    safety: Safety
    loses: str = ""
    """What an unsafe one loses."""
    why: str = ""
    """Why it was chosen, one sentence: the finding's, or "it was named"."""
    finding: str | None = None
    """The `Finding.id` that it was chosen for; None when a person named it."""
    certainty: Certainty = Certainty.PROVEN
    """How sure the finding is."""
    holder: str | None = None
    sessions: tuple[SessionIdentity, ...] = ()
    """The sessions that it ends, or whose end it brings about: just one to terminate, cancel or end_backend; for
    end_process and drain those that the process holds. When one of them is not what it was, the step is refused."""
    process: ProcessIdentity | None = None
    """The process to end or to drain; its descendants go with it."""
    settings: tuple[RoleSetting, ...] = ()
    """What limit and timeouts change."""
    source: SourceChange | None = None
    """What `source` changes."""
    slots: int = 0
    """Slots that come back by it."""
    undo: tuple[str, ...] = ()
    """How to bring the holder back, a line each: the crontab's line, the unit, the command; redacted."""


@dataclass(frozen=True, slots=True)
class Spared:
    """What could have been meant, and is left alone."""

    what: str
    """ "9 idle sessions of unit/orders-api"."""
    why: str
    """ "its pool would open them again"."""
    advice: str = ""
    """What helps instead, if anything does: a setting or a command."""
    protected: bool = False
    """True when pgusher never ends it, whoever names it."""
    holder: str | None = None
    sessions: tuple[int, ...] = ()
    """Pids of the server processes."""
    processes: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Slots:
    """How full the server was when the plan was made."""

    taken: int | None
    """None when that could not be seen."""
    maximum: int | None
    """max_connections; None when not known."""
    ordinary: int | None
    """Those that an ordinary role can take."""
    back: int
    """How many the plan's steps give back."""
    own: int = 0
    """How many of those that were taken were pgusher's own, which it gave back after the look."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What would be done. Frozen: what is applied is what was shown."""

    id: str
    """Short, to be typed: "k7f3"."""
    made_at: Micros
    expires_at: Micros
    uid: int
    """Whose plan it is."""
    server: ServerIdentity
    reach: Reach
    slots: Slots
    steps: tuple[Step, ...] = ()
    spared: tuple[Spared, ...] = ()
    asked: str | None = None
    """The word that was given: a holder, finding or pid; None for all that is proven to be leaked."""
    holders: tuple[str, ...] = ()
    """The holders that its steps are about, those that lose most slots first."""

    @property
    def safe(self) -> tuple[Step, ...]:
        """The steps that lose nothing."""
        return tuple(step for step in self.steps if step.safety is Safety.SAFE)

    @property
    def unsafe(self) -> tuple[Step, ...]:
        """The steps that lose something."""
        return tuple(step for step in self.steps if step.safety is Safety.UNSAFE)


class OutcomeKind(StrEnum):
    """What became of one step."""

    DONE = "done"
    """What it acted on was signalled, or changed, and was then seen to be gone, or as it should be."""
    GONE = "gone"
    """There was nothing left to do: it had ended by itself, or by an earlier run of the same plan."""
    REFUSED = "refused"
    """It was not done: it is not what it was, or it may not be done."""
    FAILED = "failed"
    """It was tried, and did not work, or not within the grace."""
    SKIPPED = "skipped"
    """It was not tried: not asked for, over the cap, or after too many others were refused."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What acting did with one step. That it is signalled says nothing of the slot: the verdict does."""

    step: int
    kind: OutcomeKind
    text: str
    """One fact: "refused: it was idle since 03:12:07, and is active now"."""
    at: Micros
    seen_after: str = ""
    """What was seen of its target afterwards: "process 4711 and 3 descendants are gone"."""
    hint: str = ""
    """What would help: the role to grant, the command to type."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What looking again showed."""

    verified: bool
    """Whether what the outcomes claim was seen, and slots are free for an ordinary role."""
    text: str
    """One fact with its figure: "9 of 9 sessions are gone, 88 of 97 ordinary slots are free"."""
    gone: int = 0
    """Sessions of the plan that no longer exist."""
    left: int = 0
    """Sessions of the steps that were done which still exist."""
    returned: int = 0
    """New sessions of the same holders."""
    detail: tuple[str, ...] = ()
    """Further facts, a sentence each."""
    proof: str = ""
    """How it was shown that a slot can be taken: "role app took a slot, and gave it back"; "" when it was not."""
    hint: str = ""
