"""One process with all that its threads wait for: its children, its sessions, what moves and what does not."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from pgusher.diagnose.hangs.waits import Wait, understand
from pgusher.model.address import Transport
from pgusher.model.evidence import Certainty
from pgusher.model.facts import Facts
from pgusher.model.findings import Evidence
from pgusher.model.session import Session
from pgusher.model.stacks import ClueKind, ProcessStacks, ThreadStack
from pgusher.model.values import dataclass

JOINING = frozenset({"thread.join", "main.exit", "executor.exit", "executor.shutdown", "loop", "mp.pool"})
"""Waiting for another thread to end: the reason is in that thread."""
OBJECTS = frozenset(
    {
        *("queue.join", "queue.get", "queue.put", "log.put", "event.wait", "condition.wait", "barrier.wait"),
        *("semaphore.acquire", "lock", "future.result", "future.wait", "pool.getconn", "mp.queue.get", "mp.queue.join"),
        *("mp.queue.put", "mp.event", "mp.lock"),
    }
)
"""Waiting for something that another thread or process must do to an object."""


@dataclass(frozen=True, slots=True)
class Draft:
    """What a family of mechanisms concluded, before the process around it is told."""

    mechanism: str
    certainty: Certainty
    leaf: Wait
    """Where the chain of waiting ends."""
    says: str
    """What the leaf waits for, after the name of its thread: "waits in queue.join() for ..."."""
    waits_for: str | None = None
    missing: str | None = None
    evidence: tuple[Evidence, ...] = ()
    pids: tuple[int, ...] = ()
    sessions: tuple[int, ...] = ()
    others: tuple[Wait, ...] = ()
    """Further threads that take part."""
    inside: int | None = None
    """The pid of the process that the leaf is in, when that is a child."""
    alive: bool = False
    """It does not rest on standing still: a query's wait wakes ten times a second."""


Judge = Callable[["Scene"], "Draft | None"]
"""What judges a further process, one deeper in the chain."""


class Scene:
    """One process, understood. Made anew for a child when the chain leads there."""

    def __init__(self, process: ProcessStacks, everyone: Mapping[int, ProcessStacks], facts: Facts | None) -> None:
        self.process = process
        self.everyone = everyone
        self.facts = facts
        self.clues = process.clues
        self.waits: tuple[Wait, ...] = tuple(understand(thread, process.clues) for thread in process.threads)
        self.main: Wait | None = next((wait for wait in self.waits if wait.thread.main), None)
        self.threads: tuple[Wait, ...] = tuple(wait for wait in self.waits if not wait.worker and wait.thread.frames)
        """Those that run a user's code, the main one first, or that one of a library's that may call it (a timer)."""
        self.children = tuple(p for p in everyone.values() if p.ppid == process.pid and p.state not in ("Z", "X"))

    @property
    def serves(self) -> bool:
        """It takes connections from outside: to wait is its work."""
        return any(wait.server for wait in self.waits)

    def stuck(self, wait: Wait) -> bool:
        """Whether a thread waits without a limit, and did not move between the two samples."""
        return wait.endless and not wait.thread.switched and not wait.thread.busy

    def moving(self) -> list[Wait]:
        """The threads that may still do something by themselves: they run, sleep for a time, or wait for a limit."""
        return [wait for wait in self.threads if not self.stuck(wait)]

    def calls(self, wait: Wait, names: frozenset[str]) -> bool | None:
        """Whether a function on this thread's stack calls one of these methods; None when no source was read."""
        own = {(frame.file, frame.function.rpartition(".")[2]) for frame in wait.thread.frames}
        files = {clue.file for clue in self.clues if clue.kind is ClueKind.AT}
        if not any(file in files for file, _ in own):
            return None
        found = (clue for clue in self.clues if clue.kind is ClueKind.CALLS and (clue.file, clue.function) in own)
        return any(clue.what.rpartition(".")[2] in names for clue in found)

    def session_of(self, thread: ThreadStack) -> Session | None:
        """The session that a thread reads from or polls."""
        if self.facts is None:
            return None
        for file in thread.files:
            found = self._session_at(file.fd, file.local_port, file.session)
            if found is not None:
                return found
        return None

    def _session_at(self, fd: int, port: int | None, told: int | None) -> Session | None:
        assert self.facts is not None  # noqa: S101 - for the checker: asked by session_of
        sessions = {session.pid: session for session in self.facts.sessions}
        if told in sessions:
            return sessions[told]
        for socket in self.facts.sockets:
            if not any((one.pid, one.fd) == (self.process.pid, fd) for one in socket.holders):
                continue
            if socket.backend_pid in sessions:
                return sessions[socket.backend_pid]
            if socket.port is not None and (port is None or port == socket.port):
                return next((s for s in self.facts.sessions if _is_end(s, socket.host, socket.port)), None)
        if port is not None and not self.facts.sockets:  # the socket's own port is enough where one host is looked at
            return next((s for s in self.facts.sessions if _is_end(s, s.client.host, port)), None)
        return None

    def process_of(self, session: int) -> tuple[int, ...]:
        """The processes that hold a session's client end."""
        if self.facts is None:
            return ()
        one = next((s for s in self.facts.sessions if s.pid == session), None)
        for socket in self.facts.sockets:
            same = socket.backend_pid == session or (one is not None and _is_end(one, socket.host, socket.port))
            if same:
                return tuple(dict.fromkeys(holder.pid for holder in socket.holders))
        return ()

    def own_sessions(self) -> list[Session]:
        """The sessions whose client end this process holds."""
        if self.facts is None:
            return []
        return [s for s in self.facts.sessions if self.process.pid in self.process_of(s.pid)]


def _is_end(session: Session, host: str | None, port: int | None) -> bool:
    end = session.client
    return end.transport is Transport.TCP and port is not None and (end.host, end.port) == (host, port)


def first(waits: Sequence[Wait], *kinds: str) -> Wait | None:
    """The first thread that waits in one of these operations."""
    return next((wait for wait in waits if wait.what in kinds), None)
