"""What a server of this host writes into its log, followed: whom it refuses while we, too, may be refused.

No SQL is needed: the postmaster's working directory is its data directory, and its file current_logfiles names the logs
of the collector; without a collector its standard error is the log, where that is a file. Read from its end on, in
pieces of a bounded size; a log that is rotated is read to its end first.
"""

from __future__ import annotations

import os
import stat
from collections import Counter
from collections.abc import Iterator

from pgusher.collect.postgres.log_lines import Line, ceiling_of, refusals, whole
from pgusher.collect.rooted import real_path
from pgusher.model.refusals import LoggedRefusals
from pgusher.model.snapshot import Snapshot

_MOST = 1 << 22
"""Bytes that are read at one look; a log that grows faster is left behind, and what is skipped is not counted."""
_LONGEST = 1 << 20
"""Bytes of a line or row that is not whole; a longer one is given up."""
_KINDS = ("csvlog", "jsonlog", "stderr")
_KEPT = 50
"""Refusals that are told apart at one look, and our own that the log is still to tell of."""


class ServerLogs:
    """The logs of the servers of this host. For one thread."""

    def __init__(self, proc: str = "/proc") -> None:
        self._proc = proc
        self._followed: dict[int, _Followed] = {}
        self._own: Counter[str] = Counter()
        self._attempts: dict[str, tuple[object, ...]] = {}

    def read(self, snapshot: Snapshot) -> tuple[LoggedRefusals, ...]:
        """What was refused since the look before; nothing at the first one. Raises nothing.

        What was refused to ourselves is left out: the look tells of it.
        """
        server = snapshot.facts.server
        pid = server.postmaster_pid
        if not server.local or pid is None:
            return ()
        followed = self._followed.get(pid)
        if followed is None:
            followed = self._followed[pid] = _Followed(pid, self._proc)
        counts = Counter((line, followed.path) for line in followed.lines())
        self._note_own(snapshot)
        for key in list(counts):
            mine = min(counts[key], self._own[server.label])
            counts[key] -= mine
            self._own[server.label] -= mine
        return tuple(
            LoggedRefusals(count, words, path, state, ceiling_of(words))
            for ((words, state), path), count in counts.most_common(_KEPT)
            if count > 0
        )

    def follows(self, snapshot: Snapshot) -> bool:
        """Whether there is a log of that server that can be read."""
        followed = self._followed.get(snapshot.facts.server.postmaster_pid or 0)
        return followed is not None and followed.open

    def close(self) -> None:
        """Let the files go."""
        for one in self._followed.values():
            one.close()
        self._followed.clear()

    def _note_own(self, snapshot: Snapshot) -> None:
        """Our own refusals are in the log as well, now or at the next look."""
        label, attempts = snapshot.facts.server.label, snapshot.facts.view.attempts
        before = self._attempts.get(label, ())
        new = sum(one.lacks_slots and not any(one is other for other in before) for one in attempts)
        self._attempts[label] = attempts
        self._own[label] = min(_KEPT, self._own[label] + new)


class _Followed:
    """The log of one postmaster."""

    def __init__(self, pid: int, proc: str) -> None:
        self._proc = proc
        self._pid = pid
        self._fd = -1
        self._kind = ""
        self._at = 0
        self._begun = False
        self._rest = b""
        self.path = ""

    @property
    def open(self) -> bool:
        """Whether it is being read."""
        return self._fd >= 0

    def lines(self) -> Iterator[Line]:
        """The refusals since the last time."""
        found = self._find()
        same = self._fd >= 0 and found is not None and self._is(found[2])
        if self._fd >= 0:
            yield from self._new()
        if same or found is None:
            return
        self.close()
        self._kind, self.path, place = found
        try:
            self._fd = os.open(place, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
            if not stat.S_ISREG(os.fstat(self._fd).st_mode):
                self.close()
                return
            # The first one from its end on; one that has taken its place from its beginning.
            self._at = 0 if self._begun else os.fstat(self._fd).st_size
        except OSError:
            self.close()
            return
        self._begun = True
        yield from self._new()

    def close(self) -> None:
        """Let the file go."""
        if self._fd >= 0:
            os.close(self._fd)
        self._fd, self._rest = -1, b""

    def _find(self) -> tuple[str, str, str] | None:
        """What is written now: kind, path as the server has it, and where that is for us."""
        root = f"{self._proc}/{self._pid}/root"
        try:
            data = os.readlink(f"{self._proc}/{self._pid}/cwd")
            with open(real_path(root, f"{data}/current_logfiles"), encoding="utf-8", errors="surrogateescape") as file:
                told = dict(line.rstrip("\n").partition(" ")[::2] for line in file.readlines(4096))
        except (OSError, ValueError):
            return self._plain(root)
        kind = next((kind for kind in _KINDS if told.get(kind)), None)
        if kind is None:
            return self._plain(root)
        path = told[kind] if told[kind].startswith("/") else f"{data}/{told[kind]}"
        try:
            return kind, path, real_path(root, path)
        except OSError:
            return None

    def _plain(self, root: str) -> tuple[str, str, str] | None:
        """Without a collector: what the postmaster writes its errors to."""
        link = f"{self._proc}/{self._pid}/fd/2"
        try:
            path = os.readlink(link)
            if not stat.S_ISREG(os.stat(link).st_mode):
                return None
            place = real_path(root, path) if os.path.exists(real_path(root, path)) else link
        except OSError:
            return None
        return "stderr", path, place

    def _is(self, place: str) -> bool:
        """Whether that is the file that is open; one that was cut short is read anew."""
        try:
            mine, there = os.fstat(self._fd), os.stat(place)
        except OSError:
            return True  # it is being rotated
        if (mine.st_dev, mine.st_ino) != (there.st_dev, there.st_ino):
            return False
        if mine.st_size < self._at:
            self._at, self._rest = 0, b""
        return True

    def _new(self) -> Iterator[Line]:
        try:
            size = os.fstat(self._fd).st_size
            if size - self._at > _MOST:
                self._at, self._rest = size - _MOST, b""
            data = self._rest + os.pread(self._fd, _MOST, self._at)
        except OSError:
            return
        self._at += len(data) - len(self._rest)
        end = whole(data, self._kind)
        self._rest = data[end:] if len(data) - end <= _LONGEST else b""
        yield from refusals(data[:end], self._kind)
