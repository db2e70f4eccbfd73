"""The record of every act: one file, one JSON object a line, only ever added to.

An act without a record is not allowed. So before each act its intent is on the disk, and after it what came of it. When
pgusher ends in between, by kill -9 say, the log has an intent without an outcome: "meant to, and it is not known
whether it was done". Nothing is claimed that was not seen. A line that was torn by such an end, or by a full disk, is
left as it is, and the next one begins anew.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import stat
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from pgusher.errors import PgusherError
from pgusher.model.text import clean

SYSTEM = "/var/log/pgusher"
NAME = "free.jsonl"
SCHEMA = 1
_MOST = 64 << 20
"""Bytes from the end of a log that are read for what an earlier run has left."""

_ROOM, _RIGHTS = "make room on its disk", "make its directory writable"
_HINTS = {
    errno.ENOSPC: _ROOM,
    errno.EDQUOT: _ROOM,
    0: _ROOM,  # a part was written
    errno.EFBIG: "raise the limit of a file's size (ulimit -f)",
    errno.EACCES: _RIGHTS,
    errno.EPERM: _RIGHTS,
    errno.EROFS: _RIGHTS,
}


class LogError(PgusherError):
    """There can be no record, so nothing is done. The primary line names the file, with the reason."""


def place(environ: Mapping[str, str] | None = None, euid: int | None = None) -> str:
    """Where the log is: /var/log/pgusher for root, else the user's state directory (XDG Base Directory).

    PGUSHER_STATE names another directory, for a trial that is to leave nothing behind.
    """
    environ = os.environ if environ is None else environ
    if (state := environ.get("PGUSHER_STATE", "")).startswith("/"):
        return os.path.join(state, NAME)
    if (os.geteuid() if euid is None else euid) == 0:
        return os.path.join(SYSTEM, NAME)
    given = environ.get("XDG_STATE_HOME", "")
    if not given.startswith("/"):  # the specification: a relative one is to be ignored
        given = os.path.join(os.path.expanduser("~"), ".local", "state")
    return os.path.join(given, "pgusher", NAME)


class Log:
    """The log, open for adding. Several processes may add to it at once: each line is one write."""

    def __init__(self, path: str | None = None) -> None:
        """Open it, made if need be (mode 0640 for root, else 0600). Raises LogError."""
        self.path = path or place()
        self._fd = -1
        try:
            os.makedirs(os.path.dirname(self.path), mode=0o750 if os.geteuid() == 0 else 0o700, exist_ok=True)
            flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY
            self._fd = os.open(self.path, flags, 0o640 if os.geteuid() == 0 else 0o600)
            self._check()
        except OSError as error:
            self.close()
            raise self._failed(error) from None
        except LogError:
            self.close()
            raise

    def add(self, *lines: Mapping[str, object]) -> None:
        """Add a line for each, and wait until they are on the disk. Raises LogError; a part may be there then."""
        try:
            for line in lines:
                raw = json.dumps({"schema": SCHEMA, **line}, ensure_ascii=True, separators=(",", ":")).encode() + b"\n"
                if self._torn():
                    raw = b"\n" + raw
                if os.write(self._fd, raw) != len(raw):
                    raise self._failed(OSError(0, "the disk is full"))
            os.fsync(self._fd)
        except OSError as error:
            raise self._failed(error) from None

    def close(self) -> None:
        """May be called again."""
        if self._fd >= 0:
            fd, self._fd = self._fd, -1
            os.close(fd)

    def entries(self, wanted: Callable[[dict[str, Any]], bool]) -> list[dict[str, Any]]:
        """What is in the log already, as far as it is wanted; torn lines are left out."""
        size = os.fstat(self._fd).st_size
        begin = max(0, size - _MOST)
        with open(os.dup(self._fd), "rb") as file:
            file.seek(begin)
            return [entry for entry in parse(file) if wanted(entry)]

    def _torn(self) -> bool:
        size = os.fstat(self._fd).st_size
        return size > 0 and os.pread(self._fd, 1, size - 1) != b"\n"

    def _check(self) -> None:
        status = os.fstat(self._fd)
        if not stat.S_ISREG(status.st_mode):
            raise self._unusable("no regular file")
        if status.st_uid not in {0, os.geteuid()}:
            raise self._unusable(f"it belongs to uid {status.st_uid}")
        if status.st_mode & stat.S_IWOTH:
            raise self._unusable("everybody may write it")
        os.set_blocking(self._fd, True)

    def _unusable(self, why: str) -> LogError:
        return self._error(f"cannot be used: {why}", "move it away: a new one is begun")

    def _failed(self, error: OSError) -> LogError:
        if error.errno == errno.ELOOP and os.path.islink(self.path):
            return self._unusable("it is a symbolic link")  # whoever made it chooses what is written to
        why = (error.strerror or str(error)).lower()
        hint = _HINTS.get(error.errno or 0, "look at its directory")
        return self._error(f"could not be written: {why}", f"{hint}, or plan anew with PGUSHER_STATE elsewhere")

    def _error(self, why: str, hint: str) -> LogError:
        return LogError(f"nothing is done: the log {why}", f"the log is {clean(self.path)}", hint)


def parse(lines: Iterable[bytes]) -> Iterator[dict[str, Any]]:
    """The objects in the lines of a log; what is torn or foreign is left out."""
    for line in lines:
        with contextlib.suppress(ValueError, RecursionError):
            entry = json.loads(line)
            if isinstance(entry, dict) and entry.get("schema") == SCHEMA:
                yield entry
