"""What a person asked for: whose slots, by which lever, and how many."""

from __future__ import annotations

from collections.abc import Mapping

from pgusher.model.address import Micros
from pgusher.model.plan import Lever, ProcessIdentity, Reach
from pgusher.model.process import Process
from pgusher.model.values import dataclass, field


@dataclass(frozen=True, slots=True)
class Wanted:
    """A word with what it was found to mean, and the filters. The default: all that is proven to be leaked."""

    word: str | None = None
    """As it was typed."""
    findings: tuple[str, ...] = ()
    """Ids of the findings that were named."""
    holders: tuple[str, ...] = ()
    """Holders that were named."""
    sessions: tuple[int, ...] = ()
    """Server processes that were named, or whose client address or application_name was."""
    exact: bool = False
    """Whether those were named by their own pid, one by one."""
    processes: tuple[int, ...] = ()
    """Client processes that were named by their pid."""
    idle_for: Micros | None = None
    """Only what has been idle for so long."""
    states: tuple[str, ...] = ()
    """Only sessions in one of these states, as in pg_stat_activity."""
    most: int | None = None
    """At most so many steps."""
    lever: Lever | None = None
    """CANCEL or DRAIN when it was asked for; None leaves it to the plan."""

    @property
    def named(self) -> bool:
        """Whether somebody or something was named: what is only guessed may be in the plan then."""
        return bool(self.findings or self.holders or self.sessions or self.processes)

    @property
    def filtered(self) -> bool:
        """Whether sessions are chosen by what they do."""
        return self.idle_for is not None or bool(self.states)


@dataclass(frozen=True, slots=True)
class Terms:
    """What a plan has besides its content: its name, its time, whose it is, and where it was made."""

    id: str
    made_at: Micros
    expires_at: Micros
    uid: int
    reach: Reach
    own: tuple[int, ...] = ()
    """Pids of pgusher and of all that is above it."""
    pid_namespace: int | None = None
    """Inode of the pid namespace in which pids are meant."""
    postmaster: ProcessIdentity | None = None
    """The server's first process, where it is on this host."""


@dataclass(frozen=True, slots=True)
class Seen:
    """What was looked at for the plan alone, besides the snapshot."""

    below: Mapping[int, tuple[Process, ...]] = field(default_factory=dict)
    """By the pid of a process that might be ended, all that would go with it, also what holds no session."""
    locking: frozenset[int] | None = None
    """The server processes whose sessions hold advisory locks; None when the server could not be asked."""
