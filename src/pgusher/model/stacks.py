"""Stacks: what the threads of a process are doing, and a hang: what is concluded from them.

The first half is fact (`ProcessStacks`, collected), the second conclusion (`Hang`, made by pgusher.diagnose.hangs).
Names, paths and command lines are hostile text until rendered; they hold no values of variables.
"""

from __future__ import annotations

from enum import StrEnum

from pgusher.model.address import Micros
from pgusher.model.evidence import Certainty, Gap
from pgusher.model.findings import Evidence
from pgusher.model.pattern import pattern
from pgusher.model.values import dataclass

_FOREIGN = pattern(r"^<frozen |/lib(?:64)?/python\d\.\d+/|/(?:site|dist)-packages/|/python\d+\.zip/")

MOST_CHILDREN = 48
"""Processes that are looked at, in all, though nobody asked for them; where there are so many, some may be missing."""


def is_foreign(file: str) -> bool:
    """Whether a source file is the standard library's or an installed package's, by its path: not the user's own."""
    return _FOREIGN.search(file) is not None


class StackOrigin(StrEnum):
    """Where the frames of a process come from."""

    PY_SPY = "py-spy"
    """Read out of a Python interpreter's memory, without stopping it if possible."""
    PROCFS = "procfs"
    """/proc alone: threads, their states and system calls; no frames."""
    LEDGER = "ledger"
    """The loan ledger that the process keeps itself: the one line that borrowed a session."""


@dataclass(frozen=True, slots=True)
class Frame:
    """One call on a stack."""

    function: str
    """With its class from Python 3.11 on: "Queue.join"; without before: "join"."""
    file: str
    """The path as the interpreter knows it; may be relative to the process's directory, or "<string>"."""
    line: int
    """The line being executed, from 1; 0 when not known."""
    text: str = ""
    """That line as it is written in the file, redacted; "" when it was not read."""


@dataclass(frozen=True, slots=True)
class WaitedFile:
    """One open file that a thread waits for: it reads it, writes it or polls it."""

    fd: int
    kind: str
    """"tcp", "udp", "unix", "pipe", "terminal", "file", "listen" (a socket that takes connections), "other"."""
    name: str = ""
    """The target of /proc/PID/fd/FD: a path, "pipe:[123]", "socket:[456]"."""
    peer: str | None = None
    """The other end of a TCP socket: "10.0.0.7:443", "[::1]:5432"."""
    local_port: int | None = None
    """Our port of a TCP socket: with the address it is what the server knows the session by."""
    silent_ms: int | None = None
    """Milliseconds since the peer last sent something (tcp_info); None when the kernel does not tell."""
    holders: tuple[int, ...] = ()
    """Pids that the wait depends on, where known: who has the other end of a pipe open, or holds the file lock."""
    session: int | None = None
    """Pid of the server process whose session this socket is."""


@dataclass(frozen=True, slots=True)
class ThreadStack:
    """One thread at one moment."""

    native_id: int
    """The kernel's number of the thread, as pgusher's namespace counts it."""
    thread_id: int | None = None
    """The number that Python knows it by (pthread_self); None when not a Python thread or not read."""
    name: str | None = None
    """Python's name of it ("MainThread", "pool-1-worker-0"), or the kernel's for another language's."""
    frames: tuple[Frame, ...] = ()
    """Innermost first; empty when there are none to read."""
    main: bool = False
    """The thread that the process began with: its native id is the process's."""
    state: str = "?"
    """One letter, as in proc(5): R runs, S sleeps, D waits for a disk, T is stopped."""
    wchan: str | None = None
    """The kernel function it sleeps in; None when the kernel does not tell."""
    syscall: str | None = None
    """The system call it sits in: "futex", "poll", "read"; "syscall-N" for one without a name here; None when it runs
    or the kernel does not tell."""
    endless: bool | None = None
    """Whether that call has no time limit; None when not known."""
    address: int | None = None
    """The first argument of a futex call: threads with one address wait for one lock."""
    files: tuple[WaitedFile, ...] = ()
    """What it reads, writes or polls."""
    waits_pid: int | None = None
    """The child that wait4 or waitid was asked for; -1 for any child."""
    switches: int | None = None
    """Voluntary context switches so far: how often it began to wait."""
    switched: int | None = None
    """How many of those came between the two samples; 0: it did not move. None with one sample only."""
    left_ms: int | None = None
    """Milliseconds until a lock's or a condition's time limit; None when it has none or that is not known."""
    busy: bool | None = None
    """Whether it used CPU time between the samples."""


class ClueKind(StrEnum):
    """What the text of a source file, or the log of a job, says about why a hang could come about."""

    AT = "at"
    """A call on the very line of a frame: "q.join"; for a with statement "with lock"."""
    INSIDE = "inside"
    """A with statement that the line of a frame stands in: "lock"; a while loop: LOOP."""
    CALLS = "calls"
    """A function on a stack has a call in it that others may wait for: "q.task_done", "sem.release"."""
    NOT_IN_FINALLY = "not-in-finally"
    """Such a call, anywhere in the file, that any error before it skips."""
    TRACEBACK = "traceback"
    """The log of the job holds a traceback that ends at this line."""


AT_SIGTERM = "<SIGTERM>"
"""The function that a clue names for what a program calls at SIGTERM: its "what" is "exit" or "?"."""
LOOP = "while"
"""What a clue says of a line that stands in a while loop; no name can be this word."""


@dataclass(frozen=True, slots=True)
class Clue:
    """One place in a source file that matters, found by parsing it, never by running it."""

    kind: ClueKind
    what: str
    """The call as it is written, without its arguments: "q.task_done"; or the class of the error: "ValueError"."""
    file: str
    line: int
    """Of the call or of the frame, or the line that raised."""
    function: str = ""
    """The function it stands in; "" for the module itself."""
    after: int = 0
    """The first line of the stretch in which an error skips the call; 0 when not known."""
    raises: tuple[int, ...] = ()
    """The lines of that stretch that have a raise statement."""


@dataclass(frozen=True, slots=True)
class ProcessStacks:
    """The threads of one process, and how well they could be seen."""

    pid: int
    start_ticks: int
    """With the pid its identity: start time in clock ticks since boot (field 22 of /proc/PID/stat)."""
    start_time: Micros
    source: StackOrigin
    threads: tuple[ThreadStack, ...] = ()
    """The main thread first, then by their native id. Empty for a zombie."""
    gap: Gap | None = None
    """Why there is less than there could be, and what would open it."""
    taken_at: Micros = 0
    """The moment of the (first) sample."""
    sampled_ms: int = 0
    """Milliseconds between the two samples of context switches; 0 when there was one only."""
    ppid: int = 0
    state: str = "?"
    """Of the process: "Z" for a zombie."""
    comm: str = ""
    argv: tuple[str, ...] = ()
    """The command line, redacted."""
    python: str | None = None
    """The interpreter's version ("3.11.7"); None for another language, or when it was not read."""
    uid: int = 0
    catches: tuple[int, ...] = ()
    """Numbers of the signals that it has a handler for: who handles 15 (SIGTERM) is a service, or takes care."""
    clues: tuple[Clue, ...] = ()
    """What the source files of its frames say."""
    asked: bool = True
    """It was asked for; False for a child of such a process, looked at because its parent may wait for it."""
    cost_ms: float = 0.0
    """Milliseconds that the taking of its frames took."""

    @property
    def main(self) -> ThreadStack | None:
        """The main thread."""
        return next((thread for thread in self.threads if thread.main), None)


@dataclass(frozen=True, slots=True)
class Raised:
    """The line that brought a hang about: another question than where it waits."""

    file: str
    line: int
    """The line that raised, or the call that an error skipped."""
    certainty: Certainty
    how: str
    """By what it is known: "task_done() at line 19 is skipped by an error in lines 15 to 18"."""
    function: str = ""
    error: str | None = None
    """The class of the error, when known: "ValueError"."""
    last: int = 0
    """The last line of the stretch when only a stretch is known; else 0."""


@dataclass(frozen=True, slots=True)
class Hang:
    """Why one process does not go on: where it waits, what for, what is missing, and what brought it about."""

    pid: int
    start_ticks: int
    mechanism: str
    """A stable key in kebab-case: "queue-join-no-worker", "socket-read-endless"; "unknown" when none fits."""
    certainty: Certainty
    """How sure the mechanism is."""
    sentence: str
    """What it waits for, on one line: "MainThread waits in queue.join() for a worker thread that has ended"."""
    thread: str | None = None
    """Name and number of the thread at which the chain of waiting ends; often not the main thread."""
    native_id: int | None = None
    function: str | None = None
    file: str | None = None
    """The user's own line in that thread: where it waits. None when no frame is the user's."""
    line: int | None = None
    waits_in: str | None = None
    """The library function or system call next to that line: "Queue.join", "recv"."""
    waits_for: str | None = None
    """The object, peer, child or session: "10.0.0.7:443", "process 812 (pg_dump)"."""
    missing: str | None = None
    """The counterpart that is not there: "a thread that calls task_done()"; None when nothing is missing."""
    raised: Raised | None = None
    """The line that brought it about, where evidence allows."""
    still: bool | None = None
    """Whether nothing moved between the samples and nothing that is known says otherwise; None when not sampled."""
    still_certainty: Certainty = Certainty.GUESSED
    """How sure it is that it hangs and is not merely slow."""
    evidence: tuple[Evidence, ...] = ()
    """The facts it rests on, strongest first; those about hung or slow too."""
    since: Micros | None = None
    """Since when at the latest it waits."""
    pids: tuple[int, ...] = ()
    """Other processes that take part: a child it waits for, an older run that holds the lock."""
    sessions: tuple[int, ...] = ()
    """Pids of the server processes that take part (a blocker, the session the thread waits on); not all it holds."""
    threads: tuple[int, ...] = ()
    """Native ids of the threads that take part, the waiting one first."""
