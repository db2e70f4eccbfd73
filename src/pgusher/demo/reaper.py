"""Ends every process of a staging: those it started, and all that came of them, however they were forked.

Who calls this is the reaper of its descendants (PR_SET_CHILD_SUBREAPER): a process whose parent has ended becomes a
child of ours instead of init's, so that a fork, a double fork and a new session are all found by walking down from us.
"""

from __future__ import annotations

import ctypes
import os
import signal
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from pgusher.demo import keeper

_PR_SET_PDEATHSIG = 1  # linux/prctl.h
_PR_SET_CHILD_SUBREAPER = 36  # linux/prctl.h
_KEEPER = os.path.abspath(keeper.__file__).encode()


@dataclass(frozen=True, slots=True)
class Identity:
    """One process: a pid alone is reused."""

    pid: int
    start: int
    """Clock ticks since boot, field 22 of /proc/PID/stat (proc(5))."""


@dataclass(frozen=True, slots=True)
class _Stat:
    """What is needed of /proc/PID/stat."""

    state: str
    ppid: int
    start: int


def boot_id() -> str:
    """This boot's random name; start times count from its beginning."""
    with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
        return file.read().strip()


def adopt(yes: bool = True) -> None:
    """Become the process that orphaned descendants are given to, or cease to be."""
    _prctl(_PR_SET_CHILD_SUBREAPER, int(yes))


def die_with(parent: int) -> None:
    """For a child between fork and exec: end when the parent's thread that forked it does."""
    _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it was gone before the call
        os._exit(1)


def _prctl(option: int, value: int) -> None:
    _LIBC.prctl(option, ctypes.c_ulong(value), 0, 0, 0)


_LIBC = ctypes.CDLL(None, use_errno=True)  # at import: nothing is to be loaded between fork and exec


def _stat(pid: int) -> _Stat | None:
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            # The name may hold blanks and brackets: what follows the last bracket is regular.
            fields = file.read().rpartition(b")")[2].split()
        return _Stat(fields[0].decode("ascii", "replace"), int(fields[1]), int(fields[19]))
    except (OSError, IndexError, ValueError):
        return None


def identity(pid: int) -> Identity | None:
    """The process that has this pid now; None for none, or for one that has ended and was not waited for."""
    stat = _stat(pid)
    return None if stat is None or stat.state in "ZX" else Identity(pid, stat.start)


def parent(pid: int) -> int:
    """The pid of its parent; 0 if it is gone."""
    stat = _stat(pid)
    return 0 if stat is None else stat.ppid


def alive(process: Identity) -> bool:
    """Whether this very process still runs."""
    return identity(process.pid) == process


def all_processes() -> list[int]:
    """The pids of this moment."""
    return [int(name) for name in os.listdir("/proc") if name.isdecimal()]


def descendants(root: int, *, spare: Callable[[int], bool] = lambda _pid: False) -> list[Identity]:
    """All living descendants of a process, without those that are spared and what is below them."""
    children: dict[int, list[int]] = {}
    stats: dict[int, _Stat] = {}
    for pid in all_processes():
        if (stat := _stat(pid)) is not None:
            stats[pid] = stat
            children.setdefault(stat.ppid, []).append(pid)
    found: list[Identity] = []
    waiting = list(children.get(root, ()))
    while waiting:
        pid = waiting.pop()
        if spare(pid):
            continue
        waiting += children.get(pid, ())
        if stats[pid].state not in "ZX":
            found.append(Identity(pid, stats[pid].start))
    return found


def is_keeper(pid: int) -> bool:
    """Whether it is a keeper: it stops its server in the right way, and by itself when we are gone."""
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as file:
            return _KEEPER in file.read().split(b"\0")
    except OSError:
        return False


def end(process: Identity, number: signal.Signals = signal.SIGKILL) -> bool:
    """Send the signal to this very process; False if it is gone, or another has its pid."""
    try:
        handle = os.pidfd_open(process.pid)
    except OSError:
        return False
    try:
        # The start time is looked at after the handle was opened: from here on the handle cannot mean another.
        if not alive(process):
            return False
        signal.pidfd_send_signal(handle, number)
    except OSError:
        return False
    finally:
        os.close(handle)
    return True


def end_all(find: Callable[[], Iterable[Identity]], seconds: float = 10.0) -> tuple[int, list[Identity]]:
    """SIGKILL what `find` gives, again and again until it gives nothing: they may fork while we look.

    How many were ended, and which are still there after that many seconds.
    """
    ended: set[Identity] = set()
    deadline = time.monotonic() + seconds
    while True:
        left = list(find())
        if not left or time.monotonic() > deadline:
            return len(ended), left
        ended.update(process for process in left if end(process))
        reap(process.pid for process in left)
        time.sleep(0.005)


def reap(pids: Iterable[int]) -> None:
    """Take the exit codes of those that are children of ours, so that no zombie stays."""
    for pid in pids:
        try:
            os.waitpid(pid, os.WNOHANG)
        except ChildProcessError:
            continue


def marked(cookie: str) -> list[Identity]:
    """All processes that carry the staging's cookie in their environment, as far as we may read it; never ourselves."""
    mark = f"{keeper.COOKIE}={cookie}".encode()
    found = []
    for pid in all_processes():
        try:
            with open(f"/proc/{pid}/environ", "rb") as file:
                carries = mark in file.read().split(b"\0")
        except OSError:
            continue
        if carries and pid != os.getpid() and (process := identity(pid)) is not None:
            found.append(process)
    return found
