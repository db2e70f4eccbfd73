"""What the kernel offers a guard and Python does not: prctl, unshare; and /proc as the guard reads it."""

from __future__ import annotations

import contextlib
import os
import signal
from typing import NamedTuple

COOKIE = "PGUSHER_RUN"
"""In the environment of a job and of all that it starts: RUN@LOCK; of guards within guards all, with ";" between."""
_SET_PDEATHSIG, _SET_CHILD_SUBREAPER = 1, 36  # linux/prctl.h
_WHOLE_GROUP = 4  # PIDFD_SIGNAL_PROCESS_GROUP of linux/pidfd.h
NEWNS, NEWUSER, NEWPID = 0x20000, 0x10000000, 0x20000000  # linux/sched.h


class Stat(NamedTuple):
    """What is used of /proc/PID/stat (proc_pid_stat(5))."""

    pid: int
    ppid: int
    state: str
    cpu: int
    """Ticks of processor time, with those of the children that it has waited for."""
    ticks: int
    rss: int
    """Pages."""
    group: int = 0
    session: int = 0


def read_stat(pid: int, proc: str = "/proc") -> Stat | None:
    """The process that has this pid now; None when there is none."""
    try:
        with open(f"{proc}/{pid}/stat", "rb") as file:
            fields = file.read().rpartition(b")")[2].split()
        ppid, group, session = map(int, fields[1:4])
        state, cpu = chr(fields[0][0]), sum(map(int, fields[11:15]))
        return Stat(pid, ppid, state, cpu, int(fields[19]), int(fields[21]), group, session)
    except (OSError, ValueError, IndexError):
        return None


def processes(proc: str = "/proc") -> list[Stat]:
    """All that there are, zombies too."""
    names = [int(name) for name in os.listdir(proc) if name.isdecimal()]
    return [stat for pid in names if (stat := read_stat(pid, proc)) is not None]


def family(root: int, proc: str = "/proc") -> list[Stat]:
    """All living descendants of a process: of a subreaper also those that have left everything else behind."""
    children: dict[int, list[Stat]] = {}
    for stat in processes(proc):
        children.setdefault(stat.ppid, []).append(stat)
    found: list[Stat] = []
    queue = [root]
    while queue:
        below = children.pop(queue.pop(), [])
        queue += [stat.pid for stat in below]
        found += [stat for stat in below if stat.state not in "ZX"]
    return found


def send(pid: int, ticks: int, number: int, flags: int = 0) -> bool:
    """A signal to that very process, and to nobody who has its pid by now; whether it was there."""
    try:
        fd = os.pidfd_open(pid)
    except OSError:
        return False
    try:
        stat = read_stat(pid)
        if stat is None or stat.ticks != ticks:
            return False
        signal.pidfd_send_signal(fd, number, None, flags)
    except OSError:
        return False
    finally:
        os.close(fd)
    return True


def cookie_of(pid: int, proc: str = "/proc") -> list[tuple[str, str]]:
    """The runs (id, path of the lock) that a process was started in; none when it is not shown to us."""
    try:
        with open(f"{proc}/{pid}/environ", "rb") as file:
            raw = file.read(1 << 18)
    except OSError:
        return []
    for line in raw.split(b"\0"):
        if line.startswith(COOKIE.encode() + b"="):
            pairs = os.fsdecode(line.partition(b"=")[2]).split(";")
            return [(run, path) for run, at, path in (pair.partition("@") for pair in pairs) if at]
    return []


def boot_id() -> str:
    """This boot; "" where it cannot be read."""
    try:
        with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
            return file.read().strip()
    except OSError:
        return ""


def become_subreaper() -> None:
    """Whoever loses its parent below us is ours from now on. Raises OSError."""
    _call("prctl", _SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def die_with_parent(number: int) -> None:
    """Get that signal when the parent ends. Raises OSError."""
    _call("prctl", _SET_PDEATHSIG, number, 0, 0, 0)


def new_pid_namespace() -> None:
    """The next child is the first process of a PID namespace, with a mount namespace for its /proc. Raises OSError."""
    if os.geteuid() == 0:
        _call("unshare", NEWPID | NEWNS)
        return
    uid, gid = os.geteuid(), os.getegid()
    _call("unshare", NEWUSER | NEWPID | NEWNS)
    for name, text in (("setgroups", "deny"), ("uid_map", f"{uid} {uid} 1"), ("gid_map", f"{gid} {gid} 1")):
        with open(f"/proc/self/{name}", "w", encoding="ascii") as file:
            file.write(text)


def mount_proc() -> None:
    """A /proc of this PID namespace, seen in this mount namespace only. Raises OSError."""
    private, recursive, safe = 1 << 18, 1 << 14, 2 | 4 | 8
    _call("mount", b"none", b"/", None, recursive | private, None)
    _call("mount", b"proc", b"/proc", b"proc", safe, None)


def _call(name: str, *words: int | bytes | None) -> None:
    import ctypes

    libc = ctypes.CDLL(None, use_errno=True)
    values = [ctypes.c_ulong(word) if isinstance(word, int) and at else word for at, word in enumerate(words)]
    if getattr(libc, name)(*values) != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{name}: {os.strerror(number)}")


def end(found: list[Stat], number: int) -> None:
    """A signal to all of them."""
    for stat in found:
        with contextlib.suppress(OSError):
            send(stat.pid, stat.ticks, number)


def stop(found: list[Stat]) -> None:
    """STOP to all of them; first to whole process groups, where the kernel can (6.9).

    Hundreds that fork without rest leave us a hundredth of a processor: what one call stops gives us the rest. A group
    whose leader was started by the job has no member from elsewhere: a group stays within its session.
    """
    own = os.getpgrp()
    leaders = [stat for stat in found if stat.group == stat.pid and stat.group != own]
    stopped = {stat.group for stat in leaders if send(stat.pid, stat.ticks, signal.SIGSTOP, _WHOLE_GROUP)}
    end([stat for stat in found if stat.group not in stopped], signal.SIGSTOP)


def hurry(nice: int = -20) -> None:
    """Take precedence over the job, where we may, as long as we look at it or end it; or give that back."""
    with contextlib.suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, 0, nice)
