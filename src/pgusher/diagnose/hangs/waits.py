"""What one thread waits in: its user's line, the library call next to it, and whether that call ever ends."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from pgusher.diagnose.hangs.calls import bare, operation
from pgusher.model.stacks import LOOP, Clue, ClueKind, Frame, ThreadStack, is_foreign
from pgusher.model.values import dataclass

_BOOT = frozenset({"_bootstrap", "_bootstrap_inner", "run"})
_INSIDE_LIBRARIES = (
    *("/psycopg_pool/", "/logging/handlers.py", "/multiprocessing/pool.py", "/multiprocessing/queues.py", "/tqdm/"),
    *("/multiprocessing/resource_", "/multiprocessing/managers.py", "/concurrent/futures/"),
)
_READING = frozenset({"read", "readv", "recvfrom", "recvmsg", "recvmmsg"})
_WRITING = frozenset({"write", "writev", "sendto", "sendmsg"})
_POLLING = frozenset({"poll", "ppoll", "select", "pselect6", "epoll_wait", "epoll_pwait", "epoll_pwait2"})


_FAR_MS = 600_000
"""A pool's time limit that is further away than this is none: the usual one is half a minute."""


@dataclass(frozen=True, slots=True)
class Wait:
    """One thread, understood."""

    thread: ThreadStack
    what: str
    """The operation: "queue.join", "lock", "socket"; "" when it is not known; "run" when it does not wait."""
    user: Frame | None = None
    """The user's own line; None when there is none on its stack."""
    through: Frame | None = None
    """The library frame that says what it waits in; None for a call without one (a lock, a system call)."""
    endless: bool = False
    """Nothing but its counterpart can end it."""
    worker: bool = False
    """A library's own thread with no user's code on it."""
    server: bool = False
    """It takes connections from outside."""
    in_executor: bool = False
    """It is a worker of a thread pool at work on a user's function."""

    @property
    def name(self) -> str:
        """The thread's name."""
        return self.thread.name or f"thread {self.thread.native_id}"

    @property
    def waits_in(self) -> str | None:
        """The library function or the system call next to the user's line."""
        return self.through.function if self.through is not None else self.thread.syscall


def own_line(frames: Sequence[Frame]) -> int | None:
    """The index of the user's line: the innermost frame that is the user's and is not called by contextlib.

    A context manager of the user's own (a Database class) is his, but the line that entered it tells more. When all
    of the program is an installed package, it is the innermost frame of the outermost package.
    """
    own = [i for i, frame in enumerate(frames) if not is_foreign(frame.file)]
    for i in own:
        if i + 1 >= len(frames) or not frames[i + 1].file.endswith("/contextlib.py"):
            return i
    if own:
        return own[0]
    packages = [i for i, frame in enumerate(frames) if _package(frame.file) is not None]
    if not packages or any(part in frames[packages[-1]].file for part in _INSIDE_LIBRARIES):
        return None
    outermost = _package(frames[packages[-1]].file)
    return next(i for i in packages if _package(frames[i].file) == outermost)


def _package(file: str) -> str | None:
    for mark in ("/site-packages/", "/dist-packages/"):
        if mark in file:
            return file.rpartition(mark)[2].partition("/")[0]
    return None


def understand(thread: ThreadStack, clues: Sequence[Clue]) -> Wait:
    """What this thread does."""
    frames = _since_fork(thread.frames)
    at = own_line(frames)
    user = frames[at] if at is not None else None
    inner = frames[:at] if at is not None else frames
    found = operation(inner)
    what, through = found if found is not None else ("", None)
    server = what == "server" or any(one.kind == "listen" for one in thread.files) or thread.syscall in _ACCEPTS
    in_executor = any(bare(frame) == "_worker" and "/concurrent/futures/thread.py" in frame.file for frame in frames)
    endless = thread.endless is True and thread.state not in ("R", "D")
    if what == "pool.getconn" and (thread.left_ms or 0) >= _FAR_MS and thread.state == "S":
        endless = True
    if what in ("", "input"):
        what = _plain(thread, user, inner, clues) or what
    elif what in ("pg.query", "pg.rollback") and thread.syscall == "futex" and endless:
        what = "pg.shared" if what == "pg.query" else "pg.rollback"
    elif thread.syscall in _WRITING and endless and any(one.kind == "pipe" for one in thread.files):
        what = "pipe.write"
    worker = user is None and _is_library(frames)
    return Wait(thread, what, user, through, endless, worker, server, in_executor and user is not None)


def _since_fork(frames: Sequence[Frame]) -> Sequence[Frame]:
    """The frames of a multiprocessing child without those of its parent, which it has below its own after a fork."""
    for at, frame in enumerate(frames):
        if bare(frame) == "_bootstrap" and frame.file.endswith("/multiprocessing/process.py"):
            return frames[: at + 1]
    return frames


_ACCEPTS = frozenset({"accept", "accept4"})


def _is_library(frames: Sequence[Frame]) -> bool:
    """Whether a thread is a library's own: a pool's worker, a queue's feeder."""
    base = [frame for frame in frames if not (frame.file.endswith("/threading.py") and bare(frame) in _BOOT)]
    if not base:
        return not frames
    if bare(base[-1]) == "_worker" and "/concurrent/futures/" in base[-1].file:
        return len(base) == 1  # else it runs a function that is written in C, or a library's
    if bare(base[-1]) == "worker" and base[-1].file.endswith("/multiprocessing/pool.py"):
        return len(base) > 1 and base[-2].file.endswith(("/queue.py", "/multiprocessing/queues.py"))
    return any(part in base[-1].file for part in _INSIDE_LIBRARIES)


def _plain(thread: ThreadStack, user: Frame | None, inner: Sequence[Frame], clues: Sequence[Clue]) -> str:
    """What it waits in by its system call, where no library frame says it."""
    call, files = thread.syscall, thread.files
    kinds = {one.kind for one in files}
    if thread.endless is not True:
        return "run" if thread.state == "R" else ""
    if call == "futex":
        return _futex(user, inner, clues)
    if call in ("flock", "fcntl"):
        return "flock"
    if call in ("wait4", "waitid"):
        return "child.wait"
    if call in _WRITING and kinds & {"pipe", "terminal"}:
        return "pipe.write"
    if call in _READING or call in _POLLING:
        if "terminal" in kinds or any(one.fd == 0 and one.kind in ("pipe", "other", "file") for one in files):
            return "input"
        if kinds & {"tcp", "unix", "socket"}:
            return "socket"
        if kinds == {"pipe"}:
            return "pipe.read"
    if call == "openat":
        return "open"
    return "signal" if call in ("pause", "rt_sigtimedwait", "rt_sigsuspend") else ""


def _futex(user: Frame | None, inner: Sequence[Frame], clues: Sequence[Clue]) -> str:
    if inner:
        innermost = inner[0]
        logs = innermost.file.endswith("/logging/__init__.py") and bare(innermost) in ("acquire", "handle")
        return "lock" if logs else ""
    if user is None:
        return ""
    said = at_line(clues, user)
    if not said or any(one.startswith("with ") or one.endswith(".acquire") for one in said):
        return "lock"
    # A call in C leaves no frame: SimpleQueue.get is one.
    return "queue.get" if any(one.endswith(".get") for one in said) else ""


def at_line(clues: Sequence[Clue], frame: Frame | None) -> list[str]:
    """What the source says of a frame's line: "q.join", "with lock"."""
    if frame is None:
        return []
    return [one.what for one in clues if one.kind is ClueKind.AT and (one.file, one.line) == (frame.file, frame.line)]


def repeats(clues: Sequence[Clue], thread: ThreadStack) -> bool:
    """Whether a line of this thread stands in a while loop: it comes back to where it waits, as a consumer does."""
    lines = {(frame.file, frame.line) for frame in thread.frames}
    return any(one.kind is ClueKind.INSIDE and one.what == LOOP and (one.file, one.line) in lines for one in clues)


def held_at(clues: Sequence[Clue], thread: ThreadStack) -> frozenset[str]:
    """The with statements that the lines of a thread stand in."""
    lines = {(frame.file, frame.line) for frame in thread.frames}
    inside = (one for one in clues if one.kind is ClueKind.INSIDE and (one.file, one.line) in lines)
    return frozenset(one.what for one in inside if one.what != LOOP) | _on_one_line(clues, thread)


def _on_one_line(clues: Sequence[Clue], thread: ThreadStack) -> frozenset[str]:
    """Those of `with lock: return work()`: a frame there that has called the user's code is behind the lock."""
    found: set[str] = set()
    for inner, frame in pairwise(thread.frames):
        said = at_line(clues, frame)
        names = {one[5:] for one in said if one.startswith("with ")}
        called = bare(inner)
        if names and not called.startswith("__") and not is_foreign(inner.file):
            found.update(name for name in names if "()" not in name and name.rpartition(".")[2] != called)
    return frozenset(found)


def threads(count: int) -> str:
    """ "1 thread waits", "3 threads wait"."""
    return "1 thread waits" if count == 1 else f"{count} threads wait"
