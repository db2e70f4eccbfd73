"""The source files of the user's frames: read as the process sees them, bounded, and parsed once."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable

from pgusher.collect import rooted
from pgusher.collect.stacks import reading
from pgusher.model.address import Micros
from pgusher.model.stacks import Clue, ThreadStack, is_foreign
from pgusher.model.text import decode

_LIMIT = 1 << 18
"""Bytes of a source file; a longer one is made by a program, not by a person."""
_FILES = 12
"""Files of one process."""


class Sources:
    """Reads sources for one look. Never raises: what cannot be read gives no clue."""

    def __init__(self, proc: str = "/proc") -> None:
        self._proc = proc
        self._known: dict[tuple[object, ...], list[Clue]] = {}

    def clues(self, pid: int, start: Micros, threads: Iterable[ThreadStack]) -> list[Clue]:
        """What the sources of the user's frames say of them. `start` is when the process started."""
        wanted: dict[str, dict[int, str]] = {}
        for thread in threads:
            for frame in thread.frames:
                if not is_foreign(frame.file) and not frame.file.startswith("<"):
                    wanted.setdefault(frame.file, {})[frame.line] = frame.function
        found: list[Clue] = []
        for file, lines in list(wanted.items())[:_FILES]:
            found += self._file(pid, start, file, lines)
        return found

    def _file(self, pid: int, start: Micros, file: str, lines: dict[int, str]) -> list[Clue]:
        root = f"{self._proc}/{pid}/root"
        try:
            path = (
                file
                if file.startswith("/")
                else f"{decode(os.readlink(os.fsencode(f'{self._proc}/{pid}/cwd')))}/{file}"
            )
            status = rooted.stat_file(root, path)
            if status.st_mtime_ns // 1000 > start or status.st_size > _LIMIT:
                return []  # written after the process read it: its lines are not those that run
            if not self._may_read(pid, status):
                return []  # what a frame's file is called is the process's word: root must not read for it
            key = (status.st_dev, status.st_ino, file, *sorted(lines.items()))
            if key not in self._known:
                self._known[key] = reading.clues(rooted.read_file(root, path, _LIMIT), file, lines)
        except (OSError, ValueError):
            return []
        return self._known[key]

    def _may_read(self, pid: int, status: os.stat_result) -> bool:
        """Whether the process itself may read the file, as far as its owner and everybody's rights tell."""
        uid = os.stat(f"{self._proc}/{pid}").st_uid
        return uid in {0, status.st_uid} or bool(status.st_mode & stat.S_IROTH)
