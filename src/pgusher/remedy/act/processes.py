"""END_PROCESS: a client process with all its descendants. TERM, a grace, then KILL."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Collection, Iterable

from pgusher.collect import procfs
from pgusher.collect.boot import boot_id, boot_time
from pgusher.collect.postgres.postmaster import HZ
from pgusher.model.address import Micros
from pgusher.model.plan import OutcomeKind, ProcessIdentity
from pgusher.model.values import replace
from pgusher.remedy.act.pinned import Pinned, pin, read_stat
from pgusher.remedy.act.result import Result
from pgusher.remedy.act.said import count
from pgusher.remedy.act.tree import Tree

_SETTLED = 100_000
"""Microseconds that a process must have run when the plan was made: ten of the kernel's ticks."""
JUST_STARTED = "process {} had only just started when the plan was made: it could be mistaken for another"
KILLED_FOR = 5.0
"""Seconds that the end after a KILL is waited for: only a kernel that waits for a device takes longer."""


def namespace(proc: str = "/proc") -> int | None:
    """The inode of our own pid namespace; None when it cannot be read."""
    try:
        return procfs.parse_namespace(os.readlink(f"{proc}/self/ns/pid".encode()))
    except OSError:
        return None


def too_young(start_ticks: int, made_at: Micros, proc: str = "/proc") -> bool:
    """Whether a process had only just started when it was looked at, for a plan made at that time.

    The kernel tells its start to a hundredth of a second. When it ended, and another one got its pid, within the same
    hundredth, they could not be told apart. Not so when it was older than that: who came later started later.
    """
    return boot_time(proc) + start_ticks * 1_000_000 // HZ + _SETTLED > made_at


def hold(identity: ProcessIdentity, proc: str = "/proc", made_at: Micros | None = None) -> Pinned | Result:
    """The very process that is meant, held; or what became of it. `made_at`: when the plan was made."""
    pid = identity.pid
    if not identity.boot_id or identity.boot_id != boot_id(proc):
        return Result(OutcomeKind.GONE, f"process {pid} is gone already: the host was booted since")
    here = namespace(proc)
    if identity.pid_namespace is not None and here is not None and identity.pid_namespace != here:
        text = f"process {pid} was seen from another pid namespace, in which that is another process"
        return Result(OutcomeKind.REFUSED, text, "act where the plan was made: on the host, not in a container")
    if made_at is not None and too_young(identity.start_ticks, made_at, proc):
        return Result(OutcomeKind.REFUSED, JUST_STARTED.format(pid), "make a new plan")
    try:
        held = pin(pid, proc, identity.start_ticks)
    except OSError as error:
        return Result(OutcomeKind.FAILED, f"process {pid} could not be held: {(error.strerror or '').lower()}")
    if isinstance(held, Pinned):
        return held
    whose = "" if held is None else f": its pid is another process's now ({held.comm})"
    return Result(OutcomeKind.GONE, f"process {pid} is gone already{whose}")


class Ending:
    """The end of one tree, in parts, so that all trees are signalled first and waited for once."""

    def __init__(
        self, tree: Tree, root: int, clock: Callable[[], float], proc: str = "/proc", killed_for: float = KILLED_FOR
    ) -> None:
        """`root`: the pid that is told. `killed_for`: seconds that the end after a KILL is waited for."""
        self._tree = tree
        self._root = root
        self._clock = clock
        self._proc = proc
        self._killed_for = killed_for
        self._killed = 0
        self._by_itself = False
        self._until = 0.0
        self._look_at = 0.0
        self._late: list[Pinned] = []
        self.over = False

    def freeze(self) -> tuple[tuple[int, int], ...]:
        """Stop all of it; who that is (pid, start). Raises RefusedError."""
        self._tree.freeze()
        return tuple(self._tree.members)

    def begin(self, grace: float) -> None:
        """TERM."""
        self._until = self._clock() + grace
        self._look_at = self._clock()
        living = self._tree.living
        self._by_itself = not living
        self._tree.terminate(living)

    def waits_for(self) -> list[Pinned]:
        """Whose end is to be waited for."""
        return [] if self.over else self._tree.living

    def step(self) -> None:
        """What is due now: look for what came up, KILL after the grace, give up in the end."""
        now = self._clock()
        living = self._tree.living
        if self.over:
            return
        if not living or now >= self._look_at:
            self._look_at = now + 0.1
            living += self._tell_new(last=not living)
        if not living:
            # A look that found nothing came after the last of them had ended.
            self.over = True
        elif now >= self._until:
            if self._killed:
                self.over = True
                return
            self._kill()

    def left(self) -> tuple[int, int]:
        """How many of it are known to run, and of how many."""
        return len(self._tree.living), len(self._tree.members)

    def result(self) -> Result:
        """What became of it, and what came up meanwhile and was left alone."""
        result = self._result()
        if not self._tree.left:
            return result
        return replace(result, text=f"{result.text}; left alone: {'; '.join(list(self._tree.left.values())[:3])}")

    def _result(self) -> Result:
        left = self._tree.living
        if self._by_itself and not left:
            return Result(OutcomeKind.GONE, f"process {self._root} ended by itself at this moment")
        members = len(self._tree.members)
        if left:
            states = [stat.state for one in left if (stat := read_stat(one.pid, self._proc)) is not None]
            why = _why(states, unruly=self._tree.unruly)
            some = ", ".join(str(one.pid) for one in left[:5])
            text = f"{count(len(left), 'process', 'processes')} of {members} did not end: {some}"
            return Result(OutcomeKind.FAILED, text, why, f"{members - len(left)} of {members} processes are gone")
        with_it = f" and {count(members - 1, 'descendant')}" if members > 1 else ""
        gone = f"process {self._root}{with_it} {'are' if members > 1 else 'is'} gone"
        if not self._killed:
            return Result(OutcomeKind.DONE, f"ended process {self._root}{with_it}", seen_after=gone)
        which = "it" if members == 1 else f"{self._killed} of them"
        return Result(
            OutcomeKind.DONE,
            f"ended process {self._root}{with_it}: {which} ignored TERM, and got KILL",
            seen_after=gone,
        )

    def close(self) -> None:
        """Let go of all of it."""
        self._tree.close()

    def _tell_new(self, *, last: bool) -> list[Pinned]:
        try:
            new = self._tree.last_look() if last else self._tree.look(sparing=True)
        except OSError:  # there is no descriptor left: what was known is ended
            return []
        self._tree.terminate_new(new)
        return new

    def _kill(self) -> None:
        with contextlib.suppress(OSError):  # as above
            self._tree.freeze(sparing=True)
        self._killed = len(self._tree.living)
        self._tree.kill()
        self._until = self._clock() + self._killed_for


def wait(
    endings: Collection[Ending], others: Callable[[float], bool], poll: Callable[[Iterable[Pinned], float], object]
) -> None:
    """Until all have ended, or had their time. `others(seconds)`: what else is waited for; False when that is over."""
    more = True
    while True:
        for one in endings:
            one.step()
        held = [pinned for one in endings for pinned in one.waits_for()]
        if not held and not more:
            return
        if held:
            poll(held, 0.02 if more else 0.05)
        more = more and others(0.0 if held else 0.02)


def _why(states: list[str], *, unruly: bool) -> str:
    if unruly:
        return "they start new processes faster than those can be stopped: stop their unit or container"
    if "D" in states:
        return "the kernel waits for a device or a file server on their behalf: they end when it answers"
    if "t" in states:
        return "a debugger holds them"
    return "look at them with: ps -o pid,ppid,stat,wchan,args -p PID"
