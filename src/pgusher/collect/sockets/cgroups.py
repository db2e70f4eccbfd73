"""From the number of a cgroup, which the kernel gives with each socket, to the processes in it: where to look first."""

from __future__ import annotations

import os

_MOST = 20_000
"""Directories that are walked at most."""


class Cgroups:
    """The directories of the unified hierarchy (cgroup version 2) by their inode, which is the cgroup's number."""

    def __init__(self, proc: str = "/proc") -> None:
        self._proc = proc
        self._paths: dict[int, str] = {}
        self._missing: set[int] = set()

    def pids(self, number: int) -> list[str]:
        """The processes in the cgroup of that number; none when it cannot be found."""
        for path in (self._paths.get(number), None if number in self._missing else self._find(number)):
            if path is None:
                continue
            try:
                if os.stat(path).st_ino == number:
                    with open(f"{path}/cgroup.procs", "rb") as file:
                        return [line for line in file.read().decode("ascii", "replace").split() if line != "0"]
            except OSError:  # it has been removed
                self._paths.pop(number, None)
        return []

    def _find(self, number: int) -> str | None:
        """Walk the hierarchy anew. A number that is not there is not looked for again: none is used twice."""
        paths: dict[int, str] = {}
        todo = self._mounts()
        while todo and len(paths) < _MOST:
            path = todo.pop()
            try:
                paths[os.stat(path).st_ino] = path
                with os.scandir(path) as entries:
                    todo += [entry.path for entry in entries if entry.is_dir(follow_symlinks=False)]
            except OSError:
                continue
        self._paths = paths
        if number not in paths:
            if len(self._missing) > 10_000:
                self._missing.clear()
            self._missing.add(number)
        return paths.get(number)

    def _mounts(self) -> list[str]:
        """Where it is mounted (proc(5), mountinfo)."""
        try:
            with open(f"{self._proc}/self/mountinfo", "rb") as file:
                lines = file.read(1 << 20).split(b"\n")
        except OSError:
            return []
        for line in lines:
            fields, _, kind = line.partition(b" - ")
            words = fields.split(b" ")
            if kind.startswith(b"cgroup2 ") and len(words) > 4:
                return [os.fsdecode(words[4])]
        return []
