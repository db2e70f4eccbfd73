"""The files of /proc/PID as values: pure parsers of bytes, and the one way in which they are read.

Formats: proc(5), proc_pid_stat(5), cgroups(7). A parser gives None for what it cannot make sense of: a torn or
vanishing entry is normal, as a process may end between any two reads.
"""

from __future__ import annotations

import os
from typing import NamedTuple

from pgusher.model.pattern import pattern
from pgusher.model.text import decode

UNSET = 0xFFFFFFFF
"""An audit login uid or session id that was never set (linux/audit.h: AUDIT_UID_UNSET, AUDIT_SID_UNSET)."""

_KTHREAD = 0x00200000  # PF_KTHREAD in linux/sched.h
_DELETED = " (deleted)"
# What names a container: the whole list of shapes is in containers, this only says which hierarchy to believe.
_CONTAINER = pattern(rb"[0-9a-f]{64}|/lxc[./]|kubepods|/ecs/|machine\.slice/.")


class Stat(NamedTuple):
    """What is used of /proc/PID/stat."""

    pid: int
    comm: str
    state: str
    ppid: int
    sid: int
    tty: int
    kernel_thread: bool
    threads: int
    start_ticks: int
    start_stack: int
    """Changes with each exec; 0 or 1 when it may not be seen."""


def read(path: str, directory: int | None = None, limit: int = 4096) -> bytes:
    """The file in one read, as the kernel makes these files anew for each. Raises OSError."""
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK, dir_fd=directory)
    try:
        return os.read(fd, limit)
    finally:
        os.close(fd)


def parse_stat(raw: bytes) -> Stat | None:
    """The line of /proc/PID/stat; None when it is torn."""
    # The name is in parentheses and may hold any byte, parentheses and newlines too; all behind it is numbers.
    left = raw.find(b" (")
    right = raw.rfind(b") ")
    if left <= 0 or right < left:
        return None
    fields = raw[right + 2 :].split(b" ", 26)
    if len(fields) < 20:
        return None
    try:
        return Stat(
            int(raw[:left]),
            decode(raw[left + 2 : right]),
            chr(fields[0][0]),
            int(fields[1]),
            int(fields[3]),
            int(fields[4]),
            bool(int(fields[6]) & _KTHREAD),
            int(fields[17]),
            int(fields[19]),
            int(fields[25]) if len(fields) > 25 else 0,
        )
    except (ValueError, IndexError):
        return None


def parse_cgroup(raw: bytes) -> str | None:
    """The path in /proc/PID/cgroup that says most; None when there is none.

    On a host with both versions the unified hierarchy and name=systemd agree, unless a container runtime without
    systemd made its directories in the version 1 hierarchies alone: then the container is named there only.
    """
    unified: bytes | None = None
    named: bytes | None = None
    others: list[bytes] = []
    for line in raw.split(b"\n"):
        number, colon, rest = line.partition(b":")
        controllers, second, path = rest.partition(b":")
        if not colon or not second or not path.startswith(b"/"):
            continue
        if number == b"0" and not controllers:
            unified = path
        elif controllers == b"name=systemd":
            named = path
        else:
            others.append(path)
    main = [path for path in (unified, named) if path is not None]
    chosen = next((path for path in main + others if _CONTAINER.search(path)), None)
    if chosen is None:
        chosen = next((path for path in main if path != b"/"), main[0] if main else None)
    return None if chosen is None else decode(chosen).removesuffix(_DELETED)


def parse_number(raw: bytes) -> int | None:
    """The number in loginuid or sessionid; None when it was never set, or is none."""
    digits = raw.strip()
    if not digits.isdigit() or len(digits) > 10:
        return None
    number = int(digits)
    return None if number == UNSET else number


def parse_namespace(link: bytes) -> int | None:
    """The inode in the target of a link in /proc/PID/ns: "net:[4026531840]"."""
    digits = link[link.find(b"[") + 1 : -1]
    return int(digits) if link.endswith(b"]") and digits.isdigit() and len(digits) < 20 else None


def parse_exe(link: bytes) -> tuple[str, bool]:
    """The target of /proc/PID/exe without the kernel's mark, and whether the mark says that the file is gone."""
    path = decode(link)
    return path.removesuffix(_DELETED), path.endswith(_DELETED)
