"""One run of a job at a time: a lock of the kernel, and beside it on record who has it.

A process that is killed leaves no lock behind. It is a lock on a file (flock(2)) in the directory that the processes of
one user share, so that a cron job and a shell mean the same one. Children do not keep it: a program that is started
has it not (close-on-exec), and a fork closes it.
"""

from __future__ import annotations

import fcntl
import json
import os
import time
from urllib.parse import quote

from pgusher.client.directory import Directory, DirectoryError, find_directory, open_file, reason
from pgusher.model.values import dataclass

_RECORD = 4096
_taken: set[int] = set()
"""The descriptors of this process."""


@dataclass(frozen=True, slots=True)
class Holder:
    """Who has the turn, as it was written by itself. What could not be read is 0 or ""."""

    run: str = ""
    pid: int = 0
    ticks: int = 0
    """Start of the process, in clock ticks since boot."""
    boot: str = ""
    since: int = 0
    """Microseconds since 1970."""


class Turn:
    """The turn of one job. Raises DirectoryError where there is no directory for it."""

    def __init__(self, job: str, directory: Directory | None = None) -> None:
        self._directory = directory or find_directory()
        # A name of 255 bytes is the most that a file system takes.
        self._name = f"turn-{quote(job, safe='')[:200]}"
        self._fd = -1

    def take(self, me: Holder, *, wait: bool = False) -> Holder | None:
        """Takes it; None when it is ours now, else who has it. With `wait` it returns once it is ours.

        Raises DirectoryError when the file cannot be used.
        """
        path = os.path.join(self._directory.path, self._name)
        try:
            fd = open_file(self._directory, self._name, _RECORD)
            try:
                if not self._lock(fd, wait=wait):
                    return _read(fd)
                raw = json.dumps({name: getattr(me, name) for name in Holder.__slots__}).encode()
                os.pwrite(fd, raw.ljust(_RECORD), 0)
                self._fd, fd = fd, -1
                _taken.add(self._fd)
            finally:
                if fd >= 0:
                    os.close(fd)
        except OSError as error:
            raise DirectoryError(f"cannot use {path}: {reason(error)}") from None
        return None

    def _lock(self, fd: int, *, wait: bool) -> bool:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except BlockingIOError:
            return False
        return True

    def give_back(self) -> None:
        """It is the next one's. May be called again."""
        if self._fd >= 0:
            fd, self._fd = self._fd, -1
            if fd in _taken:  # not in the child of a fork, which has closed it
                _taken.discard(fd)
                # A child that was forked a moment ago may still have its copy.
                fcntl.flock(fd, fcntl.LOCK_UN)
                os.close(fd)


def myself(run: str) -> Holder:
    """This process, as the holder of a turn."""
    try:
        with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
            boot = file.read().strip()
        with open("/proc/self/stat", "rb") as stat_file:
            ticks = int(stat_file.read().rpartition(b")")[2].split()[19])
    except (OSError, ValueError, IndexError):
        boot, ticks = "", 0
    return Holder(run, os.getpid(), ticks, boot, time.time_ns() // 1000)


def _read(fd: int) -> Holder:
    try:
        data = json.loads(os.pread(fd, _RECORD, 0))
        known = {name: data[name] for name in Holder.__slots__}
    except (OSError, ValueError, TypeError, KeyError):
        return Holder()  # it has it since a moment ago, and has not written yet
    kinds = {"run": str, "pid": int, "ticks": int, "boot": str, "since": int}
    return Holder(**known) if all(type(known[name]) is kind for name, kind in kinds.items()) else Holder()


def _forked() -> None:
    """A child has a copy of each descriptor, and would keep the turn of its parent."""
    for fd in _taken:
        try:
            os.close(fd)
        except OSError:
            continue
    _taken.clear()


os.register_at_fork(after_in_child=_forked)
