"""The text of a user's own lines on stacks, as they are written in the files that the process runs."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable

from pgusher.collect import rooted
from pgusher.model.redact import redact_text
from pgusher.model.stacks import Frame, ProcessStacks, is_foreign
from pgusher.model.values import replace

_LIMIT = 1 << 18
"""Bytes of a source file that are read."""
_FILES = 12
"""Files of one process."""
_LONGEST = 200
"""Characters of a line that are kept."""


def with_lines(processes: Iterable[ProcessStacks], proc: str = "/proc") -> tuple[ProcessStacks, ...]:
    """The same, with the text of each user's line that may be shown. Never raises: what cannot be read has none."""
    return tuple(_with_lines(process, proc) for process in processes)


def _with_lines(process: ProcessStacks, proc: str) -> ProcessStacks:
    files: dict[str, list[str] | None] = {}

    def text_of(frame: Frame) -> str:
        if is_foreign(frame.file) or not frame.line or not frame.file.endswith(".py"):
            return ""
        if frame.file not in files:
            files[frame.file] = _read(process, frame.file, proc) if len(files) < _FILES else None
        lines = files[frame.file]
        if lines is None or frame.line > len(lines):
            return ""
        return redact_text(lines[frame.line - 1].strip())[:_LONGEST]

    threads = tuple(
        replace(thread, frames=tuple(replace(f, text=text) if (text := text_of(f)) else f for f in thread.frames))
        for thread in process.threads
    )
    return replace(process, threads=threads)


def _read(process: ProcessStacks, file: str, proc: str) -> list[str] | None:
    """The lines of the file; None when they are not those that run, or are not the process's own to show.

    What a frame's file is called is the process's word. So root must not show what that process itself may not read.
    """
    root = f"{proc}/{process.pid}/root"
    try:
        path = file if file.startswith("/") else f"{os.readlink(f'{proc}/{process.pid}/cwd')}/{file}"
        status = rooted.stat_file(root, path)
        if not stat.S_ISREG(status.st_mode) or status.st_size > _LIMIT:
            return None
        if status.st_mtime_ns // 1000 > process.start_time:
            return None  # written after the process read it
        own = process.uid in (0, status.st_uid)
        if not own and not status.st_mode & stat.S_IROTH:
            return None
        return rooted.read_file(root, path, _LIMIT).decode("utf-8", "replace").splitlines()
    except (OSError, ValueError):
        return None
