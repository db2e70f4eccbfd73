"""Files below a root directory: read once, bounded, and never waited for.

The root is "/" on a host, a directory of the tests, or the host's root as a container sees it. Symbolic links are
followed as the processes of that root would: an absolute link starts again at the root. A FIFO or a device in the
place of a file is refused without being waited for.
"""

from __future__ import annotations

import errno
import os
import stat

from pgusher.model import text

LIMIT = 1 << 20
"""The most bytes that are read of one file."""

_LINKS = 40  # as the kernel: path_resolution(7)


def real_path(root: str, path: str) -> str:
    """Where `path` of `root` lies for us.

    Raises OSError: ELOOP for too many symbolic links, EINVAL for what no path can be. What does not exist is no error
    here.
    """
    try:
        if b"\0" in os.fsencode(path):
            raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))
    except UnicodeEncodeError as error:
        raise OSError(errno.EINVAL, os.strerror(errno.EINVAL)) from error
    if root in ("", "/"):
        return path
    base = root.rstrip("/")
    done: list[str] = []
    todo = [part for part in reversed(path.split("/")) if part not in ("", ".")]
    links = 0
    while todo:
        part = todo.pop()
        if part == "..":
            done = done[:-1]
            continue
        done.append(part)
        try:
            target = os.readlink(base + "/" + "/".join(done))
        except OSError:
            continue
        links += 1
        if links > _LINKS:
            raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), path)
        done = [] if target.startswith("/") else done[:-1]
        todo += [part for part in reversed(target.split("/")) if part not in ("", ".")]
    return base + "/" + "/".join(done)


def read_file(root: str, path: str, limit: int = LIMIT) -> bytes:
    """The first `limit` bytes of a regular file.

    Raises OSError: as the kernel does, and EINVAL for what is no regular file.
    """
    # O_NONBLOCK: opening a FIFO that nobody writes to would wait for ever. O_NOCTTY: a terminal is not ours to take.
    fd = os.open(real_path(root, path), os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    try:
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            raise OSError(errno.EINVAL, "not a regular file", path)
        parts: list[bytes] = []
        left = limit
        while left > 0 and (part := os.read(fd, min(left, 1 << 16))):
            parts.append(part)
            left -= len(part)
        return b"".join(parts)
    finally:
        os.close(fd)


def stat_file(root: str, path: str) -> os.stat_result:
    """As os.stat. Raises OSError."""
    return os.stat(real_path(root, path))


def list_directory(root: str, path: str) -> list[str]:
    """The names in a directory, sorted. Raises OSError."""
    return sorted(os.listdir(real_path(root, path)))


def signature(root: str, path: str) -> tuple[int, ...] | None:
    """What changes when the file or the directory's list changes; None when it cannot be looked at."""
    try:
        return signature_of(stat_file(root, path))
    except OSError:
        return None


def signature_of(found: os.stat_result) -> tuple[int, ...]:
    """The same of what was looked at already. It begins with the device and the inode."""
    return (found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns)


def name_of(path: str) -> str:
    """A path as a text that any output can encode: what is not UTF-8 in it is written as \\xNN."""
    return text.decode(os.fsencode(path))


def reason(error: OSError) -> str:
    """The reason as the system gives it, in the style of a gap: "permission denied"."""
    words = error.strerror or (os.strerror(error.errno) if error.errno else str(error))
    return words[:1].lower() + words[1:]


def is_denied(error: OSError) -> bool:
    """Whether somebody with more rights could have read it."""
    return error.errno in (errno.EACCES, errno.EPERM)
