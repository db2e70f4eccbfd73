"""One run of a job at a time: a lock of the kernel, whose holder is on record, and what is left of runs without guard.

A lock dies with the guard that has it, so none can be lost. What a killed guard leaves behind runs on without a lock:
it is found by the cookie in its environment, before anything is started, so that a job never runs twice. The same look
finds a run whose lock file was removed under it.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import os
import stat
import time
from collections.abc import Mapping

from pgusher.guard import trail
from pgusher.guard.kernel import boot_id, cookie_of, read_stat
from pgusher.guard.records import Holder, Leftover
from pgusher.guard.trail import remains

_LONGEST = 4096
COMMAND = 400
"""Characters of a command on record: JSON may make six of each."""


class Lock:
    """The lock of one job, in a directory of this user's own."""

    def __init__(self, directory: str, name: str) -> None:
        """Raises OSError when the file cannot be made."""
        self.path = os.path.join(directory, f"{name}.lock")
        self._fd = _open(self.path)
        self._waiting: int | None = None

    def take(self) -> bool:
        """Whether it is ours now."""
        for _ in range(100):
            if not _flock(self._fd):
                return False
            try:
                now, ours = os.stat(self.path), os.fstat(self._fd)
                if (now.st_dev, now.st_ino) == (ours.st_dev, ours.st_ino):
                    return True
            except FileNotFoundError:
                pass
            # Somebody removed the file: a lock on what has no name any more keeps nobody out.
            os.close(self._fd)
            self._fd = _open(self.path)
        return False

    def queue(self) -> bool:
        """Whether we are the one that waits: of a job that is slow for long not one more is to wait at each start."""
        if self._waiting is None:
            self._waiting = _open(self.path.removesuffix(".lock") + ".wait")
        return _flock(self._waiting)

    def write(self, holder: Holder) -> None:
        """Put ourselves on record. Raises OSError."""
        raw = json.dumps({name: getattr(holder, name) for name in Holder.__slots__}).encode()
        os.pwrite(self._fd, raw, 0)
        os.ftruncate(self._fd, len(raw))

    def holder(self) -> Holder | None:
        """Who has it; None when that one has not yet said."""
        try:
            with open(self.path, "rb") as file:
                return Holder(**json.loads(file.read(_LONGEST)))
        except (OSError, ValueError, TypeError):
            return None

    def forget(self) -> None:
        """In the child of a fork: close what is ours of it; the lock stays with our parent."""
        for fd in (self._fd, self._waiting):
            if fd is not None:
                with contextlib.suppress(OSError):
                    os.close(fd)

    def close(self) -> None:
        """Let go of it. The file stays: to remove it would give the next two runs a lock each."""
        for fd in (self._fd, self._waiting):
            if fd is not None:
                with contextlib.suppress(OSError):
                    # A child that was forked a moment ago may still have its copy.
                    fcntl.flock(fd, fcntl.LOCK_UN)
                    os.close(fd)
        self._waiting = None


def leftovers(path: str, own: str, proc: str = "/proc") -> list[Leftover]:
    """The processes of other runs of the job with that lock. Call it with the lock held: there is no such run then."""
    record = trail.read(path.removesuffix("lock") + "trail")
    found = []
    if record is not None and record.run != own:
        found = [Leftover(one.pid, one.ticks, record.run, _command(one.pid, proc)) for one in remains(record, proc)]
    known = {one.pid for one in found}
    for name in os.listdir(proc):
        if not name.isdecimal() or int(name) in known:
            continue
        pid = int(name)
        run = next((run for run, lock in cookie_of(pid, proc) if lock == path and run != own), None)
        stat_now = read_stat(pid, proc) if run else None
        # Whoever starts us carries the cookie too when the job calls itself: then we are a part of it.
        if run and stat_now and stat_now.state not in "ZX" and pid != os.getpid():
            found.append(Leftover(pid, stat_now.ticks, run, _command(pid, proc)))
    return found


def me(run: str, grace: float, command: str = "") -> Holder:
    """This guard."""
    own = read_stat(os.getpid())
    started = time.time_ns() // 1000
    return Holder(run, os.getpid(), own.ticks if own else 0, boot_id(), started, grace, command[:COMMAND])


def directory(environ: Mapping[str, str] | None = None) -> str:
    """Where this user's locks are, made if need be: the same one however a run is started. Raises OSError.

    Below $PGUSHER_STATE where that is set, else where processes meet (`pgusher.client.directory`).
    """
    environ = os.environ if environ is None else environ
    base = environ.get("PGUSHER_STATE", "")
    if not base.startswith("/"):
        from pgusher.client.directory import find_directory
        from pgusher.errors import PgusherError

        try:
            base = find_directory().path
        except PgusherError as error:
            raise OSError(errno.EACCES, str(error)) from None
    path = os.path.join(base, f"runs-{os.geteuid()}")
    os.makedirs(path, mode=0o700, exist_ok=True)
    status = os.lstat(path)
    if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.geteuid() or status.st_mode & 0o022:
        raise OSError(errno.EPERM, "it is not ours alone", path)
    return path


def _command(pid: int, proc: str) -> str:
    from pgusher.model.redact import redact_argv

    try:
        with open(f"{proc}/{pid}/cmdline", "rb") as file:
            words = os.fsdecode(file.read(4096)).rstrip("\0").split("\0")
    except OSError:
        return ""
    return " ".join(redact_argv(words))[:200]


def _open(path: str) -> int:
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)


def _flock(fd: int) -> bool:
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
