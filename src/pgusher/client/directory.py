"""Where the processes of one user leave word for each other: one directory, the same for all of them.

It must not depend on how a process was started, or a cron job and a shell would keep two budgets. So neither
$XDG_RUNTIME_DIR (not set under cron, removed at logout) nor $TMPDIR is asked: it is /run/pgusher if an administrator
has made that and we may write there, else pgusher-UID below /dev/shm, or below /tmp where there is no /dev/shm.
PGUSHER_SHARED names another, for a test or a demo that is to leave no trace: it must be alike in all processes.

/dev/shm and /tmp may be written by everybody, so a name there may have been taken by a stranger, or lead elsewhere.
A directory counts only when it is a real one, belongs to us or to root, and nobody can put files there whom its owner
has not let in; each file in it is opened without following a link and must belong to us, or to those let in.
"""

from __future__ import annotations

import errno
import os
import stat
from typing import NamedTuple

from pgusher.errors import PgusherError

SYSTEM = "/run/pgusher"
_EVERYBODYS = ("/dev/shm", "/tmp")  # noqa: S108 - a directory of our own is made there, and looked at before it is used


class DirectoryError(PgusherError):
    """The directory that processes share cannot be used. The primary line names it, with the reason."""


class Directory(NamedTuple):
    """A directory that was found safe."""

    path: str
    shared: bool
    """Whether a group shares it: the files in it are then the group's too."""

    @property
    def mode(self) -> int:
        """The mode of a new file in it."""
        return 0o660 if self.shared else 0o600


def own_directories(uid: int | None = None, roots: tuple[str, ...] = _EVERYBODYS) -> tuple[str, ...]:
    """Where a user's directory may be, in order of preference; the first root that exists is used."""
    name = f"pgusher-{os.geteuid() if uid is None else uid}"
    return tuple(os.path.join(root, name) for root in roots)


def find_directory(
    explicit: str | os.PathLike[str] | None = None, *, system: str = SYSTEM, roots: tuple[str, ...] = _EVERYBODYS
) -> Directory:
    """The directory to use, made if need be.

    `explicit`, or else PGUSHER_SHARED of the environment, is used as it is; in one that everybody may write, a
    directory of our own is made. Raises DirectoryError.
    """
    explicit = explicit or os.environ.get("PGUSHER_SHARED") or None
    if explicit is not None:
        path = os.path.abspath(os.fspath(explicit))
        if _everybodys(path):
            return _checked(os.path.join(path, f"pgusher-{os.geteuid()}"))
        return _checked(path)
    if os.access(system, os.W_OK | os.X_OK) and not _everybodys(system):
        return _checked(system)
    for root, path in zip(roots, own_directories(roots=roots), strict=True):
        if os.path.isdir(root):
            return _checked(path)
    raise DirectoryError(f"no directory to share with other processes: neither {' nor '.join(roots)} exists")


def _everybodys(path: str) -> bool:
    try:
        return bool(os.stat(path).st_mode & stat.S_IWOTH)
    except OSError:
        return False


def _checked(path: str) -> Directory:
    try:
        try:
            os.mkdir(path, 0o700)
        except FileExistsError:
            pass
        except OSError:
            # A read-only or full file system says so even for a directory that is there.
            if not os.path.isdir(path):
                raise
        fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError as error:
        why = "it is a symbolic link" if error.errno in {errno.ELOOP, errno.ENOTDIR} else reason(error)
        raise _unusable(path, why) from None
    try:
        status = os.fstat(fd)
    finally:
        os.close(fd)
    if status.st_uid not in {os.geteuid(), 0}:
        raise _unusable(path, f"it belongs to uid {status.st_uid}")
    if status.st_mode & stat.S_IWOTH:
        raise _unusable(path, "everybody may write there")
    return Directory(path, bool(status.st_mode & stat.S_IWGRP))


def _unusable(path: str, why: str) -> DirectoryError:
    return DirectoryError(
        f"cannot use {path}: {why}",
        hint="name another with directory=, or have root make one: install -d -m 2770 -g GROUP /run/pgusher",
    )


def open_file(directory: Directory, name: str, size: int) -> int:
    """A file of at least `size` bytes, all of them really there; made if need be, never through a link.

    The space is claimed at once: to write into a hole when the file system is full would end a process that has the
    file mapped. Raises OSError.
    """
    path = os.path.join(directory.path, name)
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK, directory.mode)
    try:
        _take_over(fd, directory, size)
    except OSError as error:
        os.close(fd)
        error.filename = path
        raise
    return fd


def _take_over(fd: int, directory: Directory, size: int) -> None:
    status = os.fstat(fd)
    if not stat.S_ISREG(status.st_mode):
        raise OSError(errno.EINVAL, "not a regular file")
    if not directory.shared and status.st_uid != os.geteuid():
        raise OSError(errno.EPERM, f"belongs to uid {status.st_uid}")
    if directory.shared and status.st_uid == os.geteuid() and status.st_mode & 0o777 != directory.mode:
        os.fchmod(fd, directory.mode)  # whatever the umask: the group is meant to take part
    if status.st_size < size:
        os.posix_fallocate(fd, 0, size)


def reason(error: OSError) -> str:
    """The system's words, in lower case."""
    return (error.strerror or str(error)).lower()
