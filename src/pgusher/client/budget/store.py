"""The file of a budget: a lock of the kernel for each slot and each process, and the table of who wants what.

The locks are POSIX record locks on bytes far behind the contents (fcntl(2), F_SETLK): the kernel drops them when the
process ends, however it ends; a child of fork does not inherit them; and F_GETLK tells whether one is held. Their one
danger is that a process loses all of them when it closes *any* descriptor of the file, so a process opens each file
once (`member.py` sees to that).

The table is read and written with pread and pwrite, not mapped: a file that somebody cuts short must not end us.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import struct

from pgusher.client.budget import table
from pgusher.client.directory import Directory, open_file

_FLOCK = struct.Struct("hhqqi")  # struct flock of 64-bit Linux: type, whence, start, length, pid
_INITIAL = 16


class Store:
    """One open file. Used by one thread at a time."""

    def __init__(self, directory: Directory, name: str) -> None:
        """Opens the file. Raises OSError."""
        self.path = os.path.join(directory.path, name)
        self._fd = open_file(directory, name, table.HEADER + _INITIAL * table.SIZE)
        header = os.pread(self._fd, len(table.MAGIC), 0)
        if header.strip(b"\0") == b"":
            os.pwrite(self._fd, table.MAGIC, 0)
        elif header != table.MAGIC:
            self.close()
            raise OSError(errno.EINVAL, "it is not a budget of this version of pgusher", self.path)

    def close(self) -> None:
        """Give up every lock, and close."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def removed(self) -> bool:
        """Whether the file is no longer the one that others find: it was deleted, with or without its directory."""
        try:
            there, ours = os.stat(self.path, follow_symlinks=False), os.fstat(self._fd)
        except OSError:
            return True
        return (there.st_dev, there.st_ino) != (ours.st_dev, ours.st_ino)

    def lock(self, byte: int) -> bool:
        """Take the lock on one byte, if it is free."""
        try:
            fcntl.lockf(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, byte)
        except OSError:  # held by another process; or the kernel has no room for locks, which is no permission either
            return False
        return True

    def unlock(self, byte: int) -> None:
        """Give it back."""
        with contextlib.suppress(OSError):
            fcntl.lockf(self._fd, fcntl.LOCK_UN, 1, byte)

    def locked(self, byte: int) -> bool:
        """Whether another process has it. What this process has itself counts as free."""
        asked = _FLOCK.pack(fcntl.F_WRLCK, os.SEEK_SET, byte, 1, 0)
        try:
            answer = fcntl.fcntl(self._fd, fcntl.F_GETLK, asked)
        except OSError:
            return True
        return bool(_FLOCK.unpack(answer)[0] != fcntl.F_UNLCK)

    def enlist(self) -> int | None:
        """The first record that no living process has; None when all are taken, or there is no room for one more."""
        for index in range(table.MEMBERS):
            if self.lock(table.MEMBER_LOCKS + index):
                end = table.HEADER + (index + 1) * table.SIZE
                try:
                    if os.fstat(self._fd).st_size < end:
                        os.posix_fallocate(self._fd, 0, end + (_INITIAL - 1) * table.SIZE)
                except OSError:
                    self.unlock(table.MEMBER_LOCKS + index)
                    return None
                return index
        return None

    def read(self) -> bytes:
        """The whole table."""
        try:
            return os.pread(self._fd, table.FILE, 0)
        except OSError:
            return b""

    def write(self, index: int, member: table.Member | None) -> None:
        """Write one record, or clear it."""
        raw = member.pack() if member is not None else bytes(table.SIZE)
        with contextlib.suppress(OSError):
            os.pwrite(self._fd, raw, table.HEADER + index * table.SIZE)
