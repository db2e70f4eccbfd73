"""One postmaster and its children, by what /proc shows to everybody."""

from __future__ import annotations

import os
import pwd
from collections.abc import Iterator
from typing import NamedTuple

from pgusher.collect import procfs
from pgusher.model.address import Micros
from pgusher.model.text import decode

NAMES = frozenset({"postgres", "postmaster", "edb-postgres"})
"""What the program is called (comm), in the distributions that rename it."""

HZ = os.sysconf("SC_CLK_TCK") if hasattr(os, "sysconf") else 100


class Postmaster(NamedTuple):
    """A running postmaster."""

    pid: int
    start_ticks: int
    uid: int
    argv: tuple[str, ...]

    @property
    def options(self) -> dict[str, str]:
        """Settings on its command line."""
        from pgusher.collect.postgres.conf import parse_options  # late: seldom needed, and slow to import

        return parse_options(self.argv)

    @property
    def os_user(self) -> str | None:
        """The name of its user, by this host's user database."""
        try:
            return pwd.getpwuid(self.uid).pw_name
        except KeyError:
            return None


def read_postmaster(pid: int, proc: str = "/proc") -> Postmaster | None:
    """The postmaster with this pid; None when there is none, or it is some other process."""
    try:
        stat = procfs.parse_stat(procfs.read(f"{proc}/{pid}/stat"))
        raw = procfs.read(f"{proc}/{pid}/cmdline", limit=1 << 16)
        uid = os.stat(f"{proc}/{pid}").st_uid
    except OSError:
        return None
    # A backend has the same name, but a title. A child that has no title yet has a postmaster as its parent.
    if stat is None or stat.comm not in NAMES or not raw or raw.startswith(b"postgres:"):
        return None
    if comm_of(stat.ppid, proc) in NAMES:
        return None
    return Postmaster(pid, stat.start_ticks, uid, tuple(decode(word) for word in raw.rstrip(b"\0").split(b"\0")))


def comm_of(pid: int, proc: str = "/proc") -> str | None:
    """The name of a process; None when it cannot be read."""
    try:
        return decode(procfs.read(f"{proc}/{pid}/comm").rstrip(b"\n"))
    except OSError:
        return None


def children(pid: int, proc: str = "/proc") -> list[int]:
    """The pids of a process's children, in one read where the kernel keeps a list (CONFIG_PROC_CHILDREN)."""
    try:
        with open(f"{proc}/{pid}/task/{pid}/children", "rb") as file:
            return [int(word) for word in file.read().split()]
    except (OSError, ValueError):
        return [child for child in all_pids(proc) if parent_of(child, proc) == pid]


def parent_of(pid: int, proc: str = "/proc") -> int | None:
    """The pid of a process's parent; None when it is gone."""
    try:
        stat = procfs.parse_stat(procfs.read(f"{proc}/{pid}/stat"))
    except OSError:
        return None
    return stat.ppid if stat else None


def inner_pid(pid: int, proc: str = "/proc") -> int:
    """The pid that a process has for itself, in a container of its own say; its pid here when that is not told.

    Source: NSpid in proc_pid_status(5), which everybody may read.
    """
    try:
        raw = procfs.read(f"{proc}/{pid}/status")
        return int(raw.partition(b"\nNSpid:")[2].split(b"\n", 1)[0].split()[-1])
    except (OSError, ValueError, IndexError):
        return pid


def all_pids(proc: str = "/proc") -> Iterator[int]:
    """The pids of all processes that are shown."""
    try:
        names = os.listdir(proc)
    except OSError:
        return
    yield from (int(name) for name in names if name.isascii() and name.isdigit())


def ticks_to_micros(ticks: int, boot: Micros) -> Micros:
    """A start time in clock ticks since boot as microseconds since 1970, up to 10 ms early."""
    return boot + ticks * 1_000_000 // HZ


def data_directory(postmaster: Postmaster, proc: str = "/proc") -> str | None:
    """Where the server's data is, as its own mount namespace names it; None when it cannot be told."""
    try:
        # It changes there when it starts (source: ChangeToDataDir in miscinit.c). Only root and its user may look.
        return os.readlink(f"{proc}/{postmaster.pid}/cwd")
    except OSError:
        pass
    options = postmaster.options
    given = options.get("data_directory") or options.get("-D")
    return given if given and given.startswith("/") else None


def root_of(postmaster: Postmaster, proc: str = "/proc") -> str:
    """The root directory that the server sees: another one in a container. "/" where we may not look through it."""
    root = f"{proc}/{postmaster.pid}/root"
    try:
        mine, its = os.stat("/"), os.stat(root)
    except OSError:
        return "/"
    return "/" if (mine.st_dev, mine.st_ino) == (its.st_dev, its.st_ino) else root
