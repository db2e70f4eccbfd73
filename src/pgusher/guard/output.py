"""The job's output on its way through the guard: unchanged, never held whole, its last part kept for `jobs tail`.

Only what goes to a pipe or socket is passed on; files and terminals the job has itself. So a process that outlives the
job holds a pipe to the guard open, and not the one that cron waits at.
"""

from __future__ import annotations

import contextlib
import os
import select
import socket
import stat

_CHUNK = select.PIPE_BUF
"""As much as can be written to a pipe that says it is writable without waiting."""
_PENDING = 1 << 16
TAIL = 1 << 16
"""Bytes of output that are kept."""


class Stream:
    """One descriptor of the job's, and where it leads."""

    def __init__(self, target: int) -> None:
        self.target = target
        self.source, self.job = os.pipe2(os.O_CLOEXEC)
        os.set_blocking(self.source, False)
        self.pending = bytearray()
        self.open = True
        self._socket = socket.socket(fileno=os.dup(target)) if stat.S_ISSOCK(os.fstat(target).st_mode) else None

    def read(self) -> bytes:
        """What is there; the end of it sets `open` to False."""
        try:
            raw = os.read(self.source, _PENDING)
        except BlockingIOError:
            return b""
        if not raw:
            self.stop()
        self.pending += raw
        return raw

    def write(self) -> None:
        """As much as goes without waiting. Where nobody reads, the job is to see that, too."""
        while self.pending:
            poll = select.poll()
            poll.register(self.target, select.POLLOUT)
            if not any(event & (select.POLLOUT | select.POLLERR) for _, event in poll.poll(0)):
                return
            try:
                chunk = bytes(self.pending[:_CHUNK])
                sent = self._socket.send(chunk, socket.MSG_DONTWAIT) if self._socket else os.write(self.target, chunk)
            except BlockingIOError:
                return
            except OSError:
                self.pending.clear()
                self.stop()
                return
            del self.pending[:sent]

    def stop(self) -> None:
        """Take no more."""
        if self.open:
            self.open = False
            os.close(self.source)

    def started(self) -> None:
        """The job has its end; ours must go, or the end of its output would never be seen."""
        os.close(self.job)


class Relay:
    """Standard output and standard error."""

    def __init__(self, path: str) -> None:
        """`path`: the file that keeps the last part; none is made as long as nothing passes."""
        self.path = path
        self.total = 0
        self._tail = bytearray()
        self._dirty = False
        self._file: int | None = None
        self.streams: dict[int, Stream] = {}
        for target in (1, 2):
            with contextlib.suppress(OSError):
                mode = os.fstat(target).st_mode
                if not (stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode)):
                    continue
                same = self.streams.get(1)
                # `2>&1`: one pipe for both, so that the order of what is said stays.
                self.streams[target] = same if same and os.path.sameopenfile(1, target) else Stream(target)

    @property
    def unique(self) -> list[Stream]:
        """Each stream once."""
        return list(dict.fromkeys(self.streams.values()))

    def fds(self) -> list[tuple[int, int]]:
        """What is to be polled, and for what. Nothing is read as long as the reader is behind."""
        wanted = []
        for stream in self.unique:
            if stream.pending:
                wanted.append((stream.target, select.POLLOUT))
            if stream.open and len(stream.pending) < _PENDING:
                wanted.append((stream.source, select.POLLIN))
        return wanted

    def move(self) -> None:
        """Pass on what can be."""
        for stream in self.unique:
            stream.write()
            if stream.open and len(stream.pending) < _PENDING and (raw := stream.read()):
                self.total += len(raw)
                self._tail += raw
                del self._tail[:-TAIL]
                self._dirty = True
                stream.write()

    @property
    def dirty(self) -> bool:
        """Whether `flush` has something to do."""
        return self._dirty

    def flush(self) -> None:
        """Write the last part where it can be read. Whatever goes wrong with that is nobody's trouble."""
        if not self._dirty:
            return
        self._dirty = False
        with contextlib.suppress(OSError):
            if self._file is None:
                flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC
                self._file = os.open(self.path, flags, 0o600)
            os.pwrite(self._file, self._tail, 0)
            os.ftruncate(self._file, len(self._tail))

    def started(self) -> None:
        """The job has been started."""
        for stream in self.unique:
            stream.started()

    def drained(self) -> bool:
        """Whether all that the job has said is passed on."""
        return not any(stream.pending or stream.open for stream in self.unique)

    def close(self) -> None:
        """The last part goes with the run."""
        for stream in self.unique:
            stream.stop()
        if self._file is not None:
            os.close(self._file)
            with contextlib.suppress(OSError):
                os.unlink(self.path)
