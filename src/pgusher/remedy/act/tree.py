"""A process with all that descends from it: held still, told, ended, waited for.

While one process after the other is signalled, another may fork, and its child is nobody's. So all are stopped first
(SIGSTOP cannot be refused): a process with that signal pending forks no more (copy_process in kernel/fork.c looks for
pending signals with the list of tasks locked), hence a look at all processes after that shows every child there is.
Only when a look shows nothing new, and everything known stands still, TERM is sent, and then CONT, as what is stopped
does not hear TERM. What comes up in the grace (a handler of TERM may start something) is found by further looks. KILL
is sent in the same way.

Not found: what had left both the session and the process group of the tree, and whose parent had ended, before the
first look. Its cgroup or audit session would tell of some, but a daemon that was started anew is in those just so. When
such a process holds sessions, it is a holder of its own, with a step of its own.
"""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Callable, Iterable, Mapping

from pgusher.collect import argv, procfs
from pgusher.model.plan import OutcomeKind
from pgusher.remedy.act.pinned import Pinned, Stat, ended, pin, read_stat
from pgusher.remedy.act.result import Result
from pgusher.remedy.act.table import own_numbers, related
from pgusher.remedy.names import names_of
from pgusher.remedy.protected import known_reason

_ROUNDS = 200
_STILL = "TtZX"
_SETTLES = 0.5
"""Seconds for those that came up in the grace to stand still."""


class RefusedError(Exception):
    """The tree may not be ended. Everything in it runs again."""

    def __init__(self, result: Result) -> None:
        super().__init__(result.text)
        self.result = result


class Tree:
    """One process and its descendants. `close` it whatever happens."""

    def __init__(
        self,
        root: Pinned | None,
        own: Iterable[int],
        proc: str = "/proc",
        clock: Callable[[], float] = time.monotonic,
        pause: Callable[[float], None] = time.sleep,
    ) -> None:
        """`root`: None when it has ended, and only descendants that an earlier run saw are left (see `adopt`).

        `own`: the pids of pgusher and of all above it.
        """
        self._proc = proc
        self._own = frozenset(own)
        self._clock = clock
        self._pause = pause
        self._root = root
        self._stopped: list[Pinned] = []
        self._numbers: set[int] = set()
        self._dead: set[tuple[int, int]] = set()
        """Zombies that no member has waited for: while they are there, what they led is known by their number."""
        self._groups = False
        self.members: dict[tuple[int, int], Pinned] = {}
        """By pid and start."""
        self.unruly = False
        """It forked faster than it could be stopped."""
        self.left: dict[tuple[int, int], str] = {}
        """What is never ended and came up when the others were told to end: by pid and start, why it is left alone."""
        if root is not None:
            self._take(root)

    @property
    def living(self) -> list[Pinned]:
        """Those that still run."""
        held = list(self.members.values())
        over = set(ended(held, 0.0))
        return [one for one in held if one.fileno() not in over]

    def adopt(self, members: Iterable[tuple[int, int]]) -> None:
        """Take in what an earlier run has seen as a part of the tree (pid, start), as far as it is still there."""
        for pid, start in members:
            if (pid, start) in self.members:
                continue
            held = pin(pid, self._proc, start)
            if isinstance(held, Pinned):
                self._check(held)
                self._take(held)

    def check_root(self) -> None:
        """Raises RefusedError when the root itself is never ended, or may not be by us."""
        if self._root is not None:
            self._check(self._root, root=True)

    def freeze(self, seconds: float = 3.0, *, sparing: bool = False) -> list[Pinned]:
        """Stop all of it, and give those that were not known before. Raises RefusedError: then all run again.

        `sparing`: as of `look`. When they fork faster than they are stopped, `unruly` is set, and they are left as they
        are.
        """
        deadline = self._clock() + seconds
        new: list[Pinned] = []
        try:
            new += self.look(
                sparing=sparing
            )  # what is seen to be protected before anything is stopped is not stopped at all
            self._stop(self.living)
            for count in range(_ROUNDS):
                found = self.look(sparing=sparing)
                new += found
                self._stop(found)
                if count > 0 and not found and self._still(deadline):
                    # What was seen between fork and exec is another program by now; it changes no more.
                    self._check_again(self.members.values(), sparing=sparing)
                    self.unruly = False
                    return new
                if self._clock() >= deadline:
                    break
                # Whoever forks and ends, again and again, is never there when it is looked at: whole groups at once.
                self._signal_groups(signal.SIGSTOP)
        except RefusedError:
            self.thaw()
            raise
        self.unruly = True
        return new

    def last_look(self) -> list[Pinned]:
        """As `look`, sparing, when nobody is left: also whoever hides by forking and ending without rest."""
        self._signal_groups(signal.SIGSTOP)
        return self.look(sparing=True)

    def look(self, *, sparing: bool = False) -> list[Pinned]:
        """Those that belong to it and were not known. Raises RefusedError when one of them is never ended.

        `sparing`, as the others were told to end already: it is put into `left` instead, and runs on with all below it.
        """
        table = read_table(self._proc)
        known = {pid for pid, _ in self.members}
        self._numbers |= own_numbers(stat for stat in table.values() if stat.key in self.members and stat.pid in known)
        self._bury(table)
        new = []
        for stat in related(table, {*self.members, *self._dead}, self._numbers):
            if self.left and self._is_left(stat, table):
                self._let_run(stat)
                continue
            held = pin(stat.pid, self._proc, stat.start_ticks)
            if not isinstance(held, Pinned):
                continue  # it has ended, and what it left is found by the next look
            try:
                if not self._belongs(stat):
                    held.close()
                    continue
                self._check(held)
            except RefusedError as error:
                held.close()
                if not sparing:
                    raise
                self.left[stat.key] = error.result.text
                self._let_run(stat)
                continue
            except BaseException:
                held.close()
                raise
            self._take(held)
            new.append(held)
        return new

    def terminate(self, these: Iterable[Pinned] | None = None) -> None:
        """TERM, then CONT: also to what somebody else had stopped."""
        chosen = self.living if these is None else list(these)
        for number in (signal.SIGTERM, signal.SIGCONT):
            for one in chosen:
                self._send(one, number)
        self._stopped.clear()

    def terminate_new(self, new: Iterable[Pinned]) -> None:
        """The same for those that came up in the grace.

        One may be seen between fork and exec: it is stopped and judged anew before it is told to end.
        """
        new = list(new)
        self._stop(new)
        self._still(self._clock() + _SETTLES, new)
        self._check_again(new, sparing=True)
        self.terminate(one for one in new if (one.pid, one.start_ticks) in self.members)

    def kill(self) -> None:
        """KILL, which also ends what is stopped."""
        for one in self.living:
            self._send(one, signal.SIGKILL)
        self._stopped.clear()

    def thaw(self) -> None:
        """Let run again what `freeze` has stopped; what was stopped before stays so."""
        for one in self._stopped:
            if not one.stopped_before:
                self._send(one, signal.SIGCONT)
        if self._stopped and self._groups:
            self._signal_groups(signal.SIGCONT)
        self._stopped.clear()

    def close(self) -> None:
        """Let go of all of it. What is stopped still, as something came in between, runs again."""
        self.thaw()
        for one in self.members.values():
            one.close()
        self.members.clear()

    # -- the parts

    def _take(self, held: Pinned) -> None:
        self.members[held.pid, held.start_ticks] = held

    def _bury(self, table: Mapping[int, Stat]) -> None:
        """Takes the numbers of children that have ended and that no member has waited for.

        What forks twice, as a daemon does, leaves one behind, and its session is that one's.
        """
        for stat in table.values():
            if stat.state == "Z" and stat.key not in self.members and self._is_child(stat):
                self._dead.add(stat.key)
                self._numbers |= own_numbers([stat])

    def _is_child(self, seen: Stat) -> bool:
        """Whether its parent is of the tree, and has not ended: so it is no other one with that pid."""
        return any(pid == seen.ppid and held.alive() for (pid, _), held in self.members.items())

    def _belongs(self, seen: Stat) -> bool:
        """Whether what was seen in the table holds now that the process is held: it cannot become another any more."""
        now = read_stat(seen.pid, self._proc)
        if now is None or now.start_ticks != seen.start_ticks:
            return False
        if now.session in self._numbers or now.group in self._numbers:
            return True
        return self._is_child(now)

    def _check(self, held: Pinned, *, root: bool = False) -> None:
        """Raises RefusedError when it is never ended, or may not be by us."""
        stat = read_stat(held.pid, self._proc)
        comm = held.comm if stat is None else stat.comm  # it may have started another program since it is held
        reason = known_reason(held.pid, _names(held.pid, comm, self._proc), self._own, below=not root)
        if reason is not None and held.alive():
            text = f"process {held.pid} ({comm}) {'is' if root else 'would go with it, and is'} never ended: {reason}"
            raise RefusedError(Result(OutcomeKind.REFUSED, text))
        self._allowed(held)

    def _check_again(self, these: Iterable[Pinned], *, sparing: bool) -> None:
        """Those of the tree that stand still. Raises RefusedError unless `sparing`."""
        for held in list(these):
            try:
                self._check(held, root=held is self._root)
            except RefusedError as error:
                if not sparing:
                    raise
                key = held.pid, held.start_ticks
                self.left[key] = error.result.text
                del self.members[key]
                self._send(held, signal.SIGCONT)
                held.close()

    def _is_left(self, stat: Stat, table: Mapping[int, Stat]) -> bool:
        """Whether it is one of those that are left alone, or below one."""
        met: set[int] = set()
        now: Stat | None = stat
        while now is not None and now.pid not in met:
            if now.key in self.left:
                return True
            met.add(now.pid)
            now = table.get(now.ppid)
        return False

    def _let_run(self, stat: Stat) -> None:
        """One that may have been stopped with its group, and is left alone."""
        if not self._groups:
            return
        held = pin(stat.pid, self._proc, stat.start_ticks)
        if isinstance(held, Pinned):
            self._send(held, signal.SIGCONT)
            held.close()

    def _allowed(self, held: Pinned) -> None:
        try:
            held.send(0)
        except PermissionError:
            raise RefusedError(denied(held, self._proc)) from None

    def _stop(self, these: Iterable[Pinned]) -> None:
        for one in these:
            self._send(one, signal.SIGSTOP)
            self._stopped.append(one)

    def _signal_groups(self, number: signal.Signals) -> None:
        """To whoever is in a group that a member leads, or led; not STOP when one may be in it that is left alone."""
        if self.left and number == signal.SIGSTOP:
            return
        for leader in [one for one in self.members.values() if one.pid in self._numbers]:
            done = leader.send_group(number)
            if done is None:
                done = self._signal_group(leader.pid, number)
            self._groups |= done

    def _signal_group(self, group: int, number: signal.Signals) -> bool:
        """The same by its number, for older kernels: as long as one that we hold is in it, it is nobody else's."""
        held = [one for one in self.living if (stat := read_stat(one.pid, self._proc)) and stat.group == group]
        if not any(one.alive() for one in held):
            return False
        with contextlib.suppress(OSError):
            os.killpg(group, number)
            return True
        return False

    def _still(self, deadline: float, these: Iterable[Pinned] | None = None) -> bool:
        """Whether all of them, or these, stand, after a moment for it.

        One in an uninterruptible sleep forks nothing either.
        """
        wait = 0.0005
        while True:
            living = self.living if these is None else [one for one in these if one.alive()]
            states = [stat.state for one in living if (stat := read_stat(one.pid, self._proc)) is not None]
            if all(state in _STILL for state in states):
                return True
            if self._clock() + wait >= deadline or wait > 0.1:
                return all(state in _STILL + "D" for state in states)
            self._pause(wait)
            wait *= 2

    def _send(self, one: Pinned, number: signal.Signals) -> None:
        try:
            one.send(number)
        except PermissionError:
            # It changed its user since it was looked at: the others are ended all the same, and it is told as left.
            return


def read_table(proc: str = "/proc") -> dict[int, Stat]:
    """All processes that are shown, by pid."""
    found = {}
    for name in os.listdir(proc):
        if name.isdecimal() and (stat := read_stat(int(name), proc)) is not None:
            found[stat.pid] = stat
    return found


def _names(pid: int, comm: str, proc: str) -> list[str]:
    """The names by which a process is judged: the same as when a plan is made."""
    exe, words = None, b""
    with contextlib.suppress(OSError):  # another user's: its short name and its arguments are left
        exe = os.readlink(f"{proc}/{pid}/exe")
    with contextlib.suppress(OSError):
        words = procfs.read(f"{proc}/{pid}/cmdline", limit=argv.READ)
    return names_of(comm, exe, argv.parse(words, argv.READ))


def ancestors(pid: int, proc: str = "/proc") -> tuple[int, ...]:
    """A process and all above it."""
    found = [pid]
    while (stat := read_stat(found[-1], proc)) is not None and stat.ppid > 0 and stat.ppid not in found:
        found.append(stat.ppid)
    return tuple(found)


def denied(held: Pinned, proc: str = "/proc") -> Result:
    """That we may not signal it."""
    try:
        owner = f"belongs to uid {os.stat(f'{proc}/{held.pid}').st_uid}"
    except OSError:
        owner = "is another user's"
    text = f"process {held.pid} ({held.comm}) {owner}: uid {os.geteuid()} may not signal it"
    return Result(OutcomeKind.REFUSED, text, "run it as root, or as that user")
