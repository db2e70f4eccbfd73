"""From the number of a cgroup to its path and back, in the unified hierarchy.

The kernel tells the number (the inode of the cgroup's directory) with each TCP socket, unasked and to everybody, so it
names the unit or container of a process that may not be seen. cgroups(7), "/proc/PID/mountinfo" in proc(5).
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable

from pgusher.collect import rooted

_MOST = 100_000
"""Directories that are walked at most."""
_AGAIN = 1.0
"""Seconds after which an unknown number is worth another walk; more, when a walk takes long."""
_USUAL = ("/sys/fs/cgroup/unified", "/sys/fs/cgroup")


class CgroupPaths:
    """Knows the cgroups of this host. It looks when it is first asked, and again for a number that is new."""

    def __init__(self, root: str = "/", *, clock: Callable[[], float] = time.monotonic) -> None:
        self._root = root
        self._clock = clock
        self._mount: str | None = None
        self._searched = False
        self._paths: dict[int, str] = {}
        self._not_before = 0.0
        self._looked = False

    def path_of(self, cgroup_id: int) -> str | None:
        """The path of a cgroup, as in /proc/PID/cgroup; None when there is none of that number, or no version 2."""
        path = self._paths.get(cgroup_id)
        if path is None and (not self._looked or self._clock() >= self._not_before):
            self._walk()
            path = self._paths.get(cgroup_id)
        return path

    def id_of(self, path: str) -> int | None:
        """The number of the cgroup at `path`; None when there is none."""
        mount = self._find()
        if mount is None or not path.startswith("/") or "/../" in f"{path}/":
            return None
        try:
            return os.stat(f"{mount}{path}").st_ino
        except (OSError, ValueError):
            return None

    def _find(self) -> str | None:
        if not self._searched:
            self._searched = True
            try:
                mount = parse_mounts(rooted.read_file(self._root, "/proc/self/mountinfo"))
            except OSError:
                mount = None
            places = (mount,) if mount else _USUAL
            for place in places:
                if rooted.signature(self._root, f"{place}/cgroup.procs"):
                    self._mount = rooted.real_path(self._root, place)
                    break
        return self._mount

    def _walk(self) -> None:
        began = self._clock()
        self._looked = True
        mount = self._find()
        paths: dict[int, str] = {}
        if mount is not None:
            _gather(mount, paths)
        self._paths = paths
        now = self._clock()
        self._not_before = now + max(_AGAIN, 50 * (now - began))


def _gather(mount: str, paths: dict[int, str]) -> None:
    try:
        paths[os.stat(mount).st_ino] = "/"
    except OSError:
        return
    todo = [""]
    while todo and len(paths) < _MOST:
        path = todo.pop()
        try:
            with os.scandir(mount + path) as entries:
                # The type and the inode come with the list: no further call for each.
                found = [entry for entry in entries if entry.is_dir(follow_symlinks=False)]
        except OSError:
            continue  # it has gone in the meantime
        for entry in found:
            inner = f"{path}/{entry.name}"
            paths[entry.inode()] = rooted.name_of(inner)
            todo.append(inner)


def parse_mounts(raw: bytes) -> str | None:
    """Where the unified hierarchy is mounted whole, by a mountinfo file; None when it is not."""
    best: str | None = None
    for line in raw.split(b"\n"):
        before, dash, behind = line.partition(b" - ")
        fields = before.split(b" ")
        if not dash or len(fields) < 6 or not behind.startswith(b"cgroup2 "):
            continue
        # A mount of a part of it, as in a container without a cgroup namespace, would give paths from there.
        if fields[3] == b"/":
            place = os.fsdecode(_unescape(fields[4]))
            if best is None or len(place) < len(best):
                best = place
    return best


def _unescape(field: bytes) -> bytes:
    r"""Blanks, tabs, newlines and backslashes are written as \040, \011, \012 and \134 there."""
    for code, byte in ((b"\\040", b" "), (b"\\011", b"\t"), (b"\\012", b"\n"), (b"\\134", b"\\")):
        field = field.replace(code, byte)
    return field
