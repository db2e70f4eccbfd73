"""One process held by a pidfd: a signal through it reaches that process or nobody, whoever has its pid by then.

Order is all there is to it. First the pidfd is opened, then /proc is read, then the pidfd is asked whether its process
still lives. As it does, it had the pid all the time, so what was read is of it (sources: pidfd_open(2),
pidfd_send_signal(2); a pidfd refers to the kernel's struct pid, not to the number).
"""

from __future__ import annotations

import os
import select
import signal
from collections.abc import Iterable
from typing import NamedTuple

from pgusher.collect import procfs

_GROUP = 1 << 2
"""PIDFD_SIGNAL_PROCESS_GROUP: to all of the process's group at once (linux/pidfd.h, from Linux 6.9 on)."""


class Stat(NamedTuple):
    """What is used of /proc/PID/stat (proc_pid_stat(5))."""

    pid: int
    ppid: int
    group: int
    session: int
    start_ticks: int
    state: str
    comm: str
    kernel_thread: bool

    @property
    def key(self) -> tuple[int, int]:
        """What it is known by on this boot."""
        return self.pid, self.start_ticks


def read_stat(pid: int, proc: str = "/proc") -> Stat | None:
    """The process that has this pid now; None when there is none, or it is not shown."""
    try:
        raw = procfs.read(f"{proc}/{pid}/stat")
    except OSError:
        return None
    found = procfs.parse_stat(raw)
    if found is None:
        return None
    group = raw[raw.rindex(b") ") + 2 :].split(b" ", 3)[2]
    return Stat(
        found.pid,
        found.ppid,
        int(group) if group.lstrip(b"-").isdigit() else 0,
        found.sid,
        found.start_ticks,
        found.state,
        found.comm,
        found.kernel_thread,
    )


class Pinned:
    """A process that is held. `close` it whatever happens."""

    __slots__ = ("_fd", "comm", "pid", "start_ticks", "stopped_before")

    def __init__(self, fd: int, stat: Stat) -> None:
        """Take over `fd`, a pidfd of the process that `stat` was read of. Use `pin` instead."""
        self._fd = fd
        self.pid = stat.pid
        self.start_ticks = stat.start_ticks
        self.comm = stat.comm
        self.stopped_before = stat.state in "Tt"

    def fileno(self) -> int:
        """The pidfd: it can be read from when the process has ended, also as a zombie."""
        return self._fd

    def alive(self) -> bool:
        """Whether it still runs."""
        return not ended([self], 0.0)

    def send(self, number: signal.Signals | int) -> bool:
        """Signal it; False when it has ended. Raises PermissionError. 0 only asks whether that is allowed."""
        try:
            signal.pidfd_send_signal(self._fd, number)
        except ProcessLookupError:
            return False
        return True

    def send_group(self, number: signal.Signals) -> bool | None:
        """Signal the group whose leader it is, or was, at once; False when nobody is in it, or nobody of ours.

        None where the kernel cannot do that (before Linux 6.9). No process of the group can fork in the midst of it:
        the kernel holds its list of tasks meanwhile.
        """
        try:
            signal.pidfd_send_signal(self._fd, number, None, _GROUP)
        except (ProcessLookupError, PermissionError):
            return False
        except OSError:  # EINVAL
            return None
        return True

    def close(self) -> None:
        """Let go of it. May be called again."""
        if self._fd >= 0:
            fd, self._fd = self._fd, -1
            os.close(fd)


def pin(pid: int, proc: str = "/proc", start_ticks: int | None = None) -> Pinned | Stat | None:
    """Hold the process that has this pid and, when given, started at `start_ticks`.

    Otherwise the stat of whoever has the pid now; None when nobody has. Raises OSError when there is no descriptor
    left, or the kernel has no pidfds.
    """
    if pid <= 0:
        return None
    try:
        fd = os.pidfd_open(pid)
    except ProcessLookupError:
        return None
    held = None
    try:
        stat = read_stat(pid, proc)
        if stat is None or ended([fd], 0.0):
            return None
        if start_ticks is not None and stat.start_ticks != start_ticks:
            return stat
        held = Pinned(fd, stat)
        return held
    finally:
        if held is None:
            os.close(fd)


def ended(held: Iterable[Pinned | int], seconds: float) -> list[int]:
    """The pidfds of those that have ended, as soon as there is one, waiting at most so many seconds for it."""
    poll = select.poll()
    for one in held:
        poll.register(one if isinstance(one, int) else one.fileno(), select.POLLIN)
    return [fd for fd, _ in poll.poll(max(0.0, seconds) * 1000)]
