"""Which processes are looked at: those that are asked for, and their family, as a parent may wait for its child.

The parent of one that Python's multiprocessing made, and its other children, may have the other end of its queue.
"""

from __future__ import annotations

import os
from collections.abc import Iterable

from pgusher.collect import procfs
from pgusher.model.pattern import pattern
from pgusher.model.stacks import MOST_CHILDREN
from pgusher.model.text import decode

_DEPTH = 3
_FAMILY = 8
"""Children of a parent that are looked at with it; in a larger family it is not known what all of them do."""
_PYTHON = pattern(r"^python(?:\d(?:\.\d+)?)?t?$|^uwsgi|^pypy")
_VERSION = pattern(r"python(\d\.\d+)")


def with_children(proc: str, pids: Iterable[int]) -> dict[int, tuple[procfs.Stat, bool]]:
    """The processes by pid, each with its stat and whether it was asked for. Never raises."""
    found: dict[int, tuple[procfs.Stat, bool]] = {}
    everyone: dict[int, procfs.Stat] = {}
    for name in _names(proc):
        try:
            stat = procfs.parse_stat(procfs.read(f"{proc}/{name}/stat"))
        except OSError:
            continue
        if stat is not None:
            everyone[stat.pid] = stat
    below: dict[int, list[int]] = {}
    for pid, stat in sorted(everyone.items()):
        below.setdefault(stat.ppid, []).append(pid)
    level = [pid for pid in dict.fromkeys(pids) if pid in everyone]
    found = {pid: (everyone[pid], True) for pid in level}
    own, left = os.getpid(), MOST_CHILDREN
    for _ in range(_DEPTH):
        level = [child for pid in level for child in below.get(pid, ()) if child != own]
        for child in level:
            if child not in found and left > 0:
                found[child] = (everyone[child], False)
                left -= 1
    for pid in [one for one, (_, asked) in found.items() if asked]:
        parent = everyone[pid].ppid
        if parent <= 1 or parent == own or parent in found or not _is_forked(proc, pid, parent):
            continue
        family = [child for child in below.get(parent, ()) if child != own and child not in found]
        if len(below.get(parent, ())) <= _FAMILY and len(family) < left:
            found |= {one: (everyone[one], False) for one in (parent, *family)}
            left -= 1 + len(family)
    return found


def _is_forked(proc: str, pid: int, parent: int) -> bool:
    """Whether a Python program made this process to work for it: by fork (one command line), or by multiprocessing."""
    if python_of(proc, pid) is None or python_of(proc, parent) is None:
        return False
    try:
        words = procfs.read(f"{proc}/{pid}/cmdline")
        return b"multiprocessing" in words or words == procfs.read(f"{proc}/{parent}/cmdline")
    except OSError:
        return False


def _names(proc: str) -> list[str]:
    try:
        return [name for name in os.listdir(proc) if name.isdigit()]
    except OSError:
        return []


def python_of(proc: str, pid: int) -> str | None:
    """ "3.11" for a process that runs Python, "?" if its version is not told by its path; None for any other.

    An interpreter within another program (uwsgi, mod_wsgi, an embedded one) is known by its shared library. Never
    raises.
    """
    try:
        exe = decode(os.readlink(os.fsencode(f"{proc}/{pid}/exe"))).removesuffix(" (deleted)")
    except OSError:
        return None
    version = _VERSION.search(exe.rpartition("/")[2]) or _VERSION.search(exe)
    if _PYTHON.match(exe.rpartition("/")[2]):
        return version[1] if version else "?"
    try:
        with open(f"{proc}/{pid}/maps", "rb") as file:
            for line in file:
                if b"libpython" in line:
                    named = _VERSION.search(decode(line[line.find(b"libpython") + 3 :]))
                    return named[1] if named else "?"
    except OSError:
        return None
    return None
