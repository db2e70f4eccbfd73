"""What the parts of the guard hand to each other."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from typing import Protocol

from pgusher.model.values import dataclass

DONE, FAILED, LIMIT, SIGNAL, THREAD, IDLE = "done", "failed", "limit", "signal", "thread", "idle"
SKIPPED, NOT_STARTED = "skipped", "not started"
TIMED_OUT, TRY_LATER, GUARD_FAILED, NOT_EXECUTABLE, NOT_FOUND = 124, 75, 125, 126, 127
"""Exit codes that are not the job's own."""


@dataclass(frozen=True, slots=True)
class Job:
    """What is to be run, and how."""

    name: str
    """Letters, digits and . _ - only: it names files."""
    argv: tuple[str, ...]
    limit: float | None = None
    """Seconds; None for none."""
    limit_source: str = ""
    """Where the limit comes from, when nobody gave it: "schedule */10 * * * * of /etc/crontab:7"."""
    grace: float = 10.0
    """Seconds between TERM and KILL."""
    overlap: str = "skip"
    """"skip", "wait" or "replace"."""
    idle: float | None = None
    """Seconds without output, CPU and disk after which it is told."""
    idle_kill: bool = False
    watch_threads: bool = True
    """Whether a thread that dies in its Python makes the run a failed one."""
    isolate: bool = False
    """Whether it gets a PID namespace of its own."""
    verbose: bool = False
    """Whether it is told what of the guard's means it goes without."""
    named: bool = True
    """Whether somebody has given it the name: one that is made of the command may be another command's, too."""


@dataclass(frozen=True, slots=True)
class Holder:
    """Who has the lock of a job: a guard, by what proves that it is still that one."""

    run: str
    pid: int
    ticks: int
    """Its start, in clock ticks since boot."""
    boot: str
    started: int
    """Microseconds since 1970."""
    grace: float = 10.0
    """Seconds that its job gets at its end."""
    command: str = ""
    """What it runs, redacted and cut; "" where a guard of before has not said."""


@dataclass(frozen=True, slots=True)
class Leftover:
    """A process of a run whose guard is gone."""

    pid: int
    ticks: int
    run: str
    command: str


@dataclass(frozen=True, slots=True)
class Ended:
    """What became of a run."""

    run: str
    ending: str
    exit: int
    """The guard's exit code."""
    started: int = 0
    ended: int = 0
    """Microseconds since 1970, by the clock of the wall."""
    duration: int = 0
    """Microseconds, by a clock that nobody sets."""
    status: int | None = None
    """What waitpid said of the job's main process."""
    evidence: tuple[str, ...] = ()
    """What is to be told, most important first."""
    warnings: tuple[str, ...] = ()
    """What went wrong with the guard's own work; never a reason for the job to fail."""
    survivors: tuple[int, ...] = ()
    """Pids that not even KILL has ended yet: they are in an uninterruptible sleep."""
    peak_memory: int | None = None
    """Bytes."""
    end_took: int | None = None
    """Microseconds from the first signal until nothing was left; None when nothing had to be ended."""
    peak_slots: int | None = None
    """The most sessions that were seen at once; None when nobody looked."""


Evidence = Callable[[tuple[int, ...]], Iterable[str]]
"""Lines about those processes: what each waits for. It may fail and may hang."""


Traffic = Callable[[Collection[int]], "int | None"]
"""How many bytes the network sockets of those processes have moved; None when that cannot be told."""


class Sessions(Protocol):
    """What knows of the sessions of a run, as `pgusher.app.run_sessions`: the guard imports no tool."""

    peak: int | None
    """The most that were seen at once; None when nobody looked."""

    def count(self, pids: Collection[int], *, now: bool = False) -> int | None:
        """How many these processes have; None when it is too early to look again. Cheap, and raises nothing."""

    def lines(self, pids: Collection[int]) -> Iterable[str]:
        """What they do. It may fail and may hang."""

    def is_worth_a_look(self) -> bool:
        """Whether the run is known to have had any, or it was said where its server is."""

    def left(self, name: str, started: int) -> Iterable[str]:
        """Those that are still there after the end of a run of that name. It may fail and may hang."""
