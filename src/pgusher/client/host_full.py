"""What all processes of a user on this host know together of one server: that it is full, and whose turn it is to ask.

Each refused connect costs the server a fork, paid by those who are healthy. So while a server is full one process asks
every half second for all, and the others wait for its answer in a small file. When there is room again they do not
all come at once: each success lets in one more, after the second two more.

A server is full for a role or a database of its own, too (their CONNECTION LIMIT, the same SQLSTATE 53300), so the
file has an entry for each; the time of the next attempt is one for all of them.

Times are of CLOCK_MONOTONIC, which no clock step moves; what was written before the last boot does not count.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import struct
import threading
import time
import zlib
from collections.abc import Callable
from typing import NamedTuple

from pgusher.client.directory import DirectoryError, find_directory, open_file

SPACING = 0.495
"""Seconds from a refusal to the next attempt: with the time that a connect takes, two attempts a second."""
ASK_AGAIN = 0.02
"""Seconds until a process looks into the file again when others have found room."""
_LEASE = 0.05
"""Seconds for an attempt after one that worked: who is ended in the midst of it must not hold up the others."""
_LOOK = 0.05
"""Seconds until it looks again otherwise: somebody may have found room by then."""
_BUSY = 0.5
"""Seconds after which the lock of the file is passed over: whoever has it is stopped."""
_ENOUGH = 16
"""Successes in a row after which the server is not full any more."""

_LOCK = 1 << 20  # a byte behind the contents, where nobody reads
_MAGIC = b"pgfull1\0"
_HEADER = struct.Struct("<8s8sqq")
_ENTRY = struct.Struct("<IIII")
_ENTRIES = 16
_SIZE = _HEADER.size + _ENTRIES * _ENTRY.size


class Entry(NamedTuple):
    """What is known of one role and database."""

    full: bool
    successes: int = 0
    """Attempts that worked since the last refusal."""
    credit: int = 0
    """Attempts that may be made at once, as earlier ones worked."""


class State:
    """The contents of the file, and what an answer of the server makes of them. No I/O, times in seconds."""

    def __init__(self, boot: bytes, raw: bytes = b"") -> None:
        """Whatever does not fit (another boot, another format, torn) is as if nothing were known."""
        self.boot = boot
        self.next_at = 0.0
        self.refusals = 0
        self.entries = [Entry(False)] * _ENTRIES
        if len(raw) >= _SIZE:
            magic, written, next_at, self.refusals = _HEADER.unpack_from(raw)
            if magic == _MAGIC and written == boot:
                self.next_at = next_at / 1e9
                for index in range(_ENTRIES):
                    full, successes, credit, _ = _ENTRY.unpack_from(raw, _HEADER.size + index * _ENTRY.size)
                    self.entries[index] = Entry(full == 1, min(successes, _ENOUGH), min(credit, _ENOUGH))

    def pack(self) -> bytes:
        """The contents to be written."""
        head = _HEADER.pack(_MAGIC, self.boot, int(self.next_at * 1e9), self.refusals)
        return head + b"".join(_ENTRY.pack(entry.full, entry.successes, entry.credit, 0) for entry in self.entries)

    def wait(self, which: int, now: float) -> float:
        """Seconds until to look again; 0.0 when an attempt may be made now."""
        entry = self.entries[which]
        if not entry.full or entry.credit:
            return 0.0
        # A time further off than it can ever be set is a mistake, or malice: it does not count.
        due = self.next_at - now
        if due > 1.1 * SPACING:
            return 0.0
        return 0.0 if due <= 0 else min(due, ASK_AGAIN if entry.successes else _LOOK)

    def claim(self, which: int, now: float) -> float:
        """As `wait`; 0.0 takes the attempt away from the others."""
        delay = self.wait(which, now)
        entry = self.entries[which]
        if delay == 0.0 and entry.full:
            if entry.credit:
                self.entries[which] = entry._replace(credit=entry.credit - 1)
            else:
                self.next_at = now + (_LEASE if entry.successes else SPACING)
        return delay

    def room(self, which: int, now: float) -> None:
        """An attempt worked."""
        # Whoever takes the credit may end before it is used (a script that was served, and is done).
        self.next_at = min(self.next_at, now + _LEASE)
        for index, entry in enumerate(self.entries):
            if not entry.full:
                continue
            if index != which:  # it may be full for itself, but if the whole server was, there is room for it too
                self.entries[index] = entry._replace(credit=max(1, entry.credit))
            elif entry.successes + 1 >= _ENOUGH:
                self.entries[index] = Entry(False)
            else:
                more = 1 if entry.successes < 2 else 2
                self.entries[index] = Entry(True, entry.successes + 1, min(_ENOUGH, entry.credit + more))

    def refused(self, which: int, now: float) -> None:
        """An attempt was refused."""
        self.refusals += 1
        self.entries[which] = Entry(True)
        self.next_at = now + SPACING

    def closed(self, which: int, now: float) -> None:
        """A session of ours has ended: there is room for one, unless somebody else was first."""
        if self.entries[which].full and now - (self.next_at - SPACING) > SPACING / 5:
            self.next_at = min(self.next_at, now)


class HostGate:
    """What a pool asks before it connects to a server that may be full. A `pgusher.client.gate.Gate`.

    One for all pools of a process that connect to the same server as the same role (`host_gate`).
    """

    pressed = False

    def __init__(
        self, server: str, role: str, directory: str | None = None, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        """`server`: its address, alike in all processes; `role`: who asks for which database.

        Raises OSError and DirectoryError.
        """
        self._place = directory
        self._monotonic = monotonic
        self._name = f"{zlib.crc32(server.encode()):08x}.full"
        self._which = zlib.crc32(role.encode()) % _ENTRIES
        self._boot = boot()
        self._lock = threading.Lock()
        self._fd = open_file(find_directory(directory), self._name, _SIZE)
        self._busy_since: float | None = None

    def wait(self, now: float) -> float:
        """As `may_connect`, but the attempt stays anybody's."""
        return self._read().wait(self._which, now)

    def may_connect(self, now: float) -> float:
        """Seconds until to ask again; 0.0: connect now."""
        state = self._read()
        if not state.entries[self._which].full:
            return 0.0
        if delay := state.wait(self._which, now):
            return delay
        claimed = 0.0

        def claim(state: State) -> None:
            nonlocal claimed
            claimed = state.claim(self._which, now)

        return claimed if self._change(now, claim) else ASK_AGAIN

    def room(self, now: float) -> None:
        """The connect worked."""
        if self._read().entries[self._which].full:
            self._change(now, lambda state: state.room(self._which, now))

    def refused(self, now: float) -> None:
        """The server is full."""
        self._change(now, lambda state: state.refused(self._which, now))

    def failed(self, now: float) -> None:
        """The connect failed for another reason, which says nothing about room."""

    def closed(self) -> None:
        """A session has ended."""
        if self._read().entries[self._which].full:
            now = self._monotonic()
            self._change(now, lambda state: state.closed(self._which, now))

    def give_back(self, now: float, made: float) -> bool:  # noqa: ARG002 - as the protocol has it
        """This is no budget: nobody is owed a session."""
        return False

    def tick(self, now: float, size: int, idle: int, waiting: int) -> None:
        """Nothing of this is told to others."""

    def forked(self) -> None:
        """The file is the same for the child; only the lock may have been taken by a thread that it has not got."""
        self._lock = threading.Lock()

    def _read(self) -> State:
        try:
            return State(self._boot, os.pread(self._fd, _SIZE, 0))
        except OSError:
            return State(self._boot)

    def _change(self, now: float, change: Callable[[State], None]) -> bool:
        """Read, change and write as one step; False when another process is in the midst of one."""
        with self._lock:
            self._reopen()
            locked = self._take_lock()
            if not locked:
                # Steps take microseconds. Whoever has the lock for half a second is stopped, and is not waited for.
                if self._busy_since is None:
                    self._busy_since = now
                if now - self._busy_since < _BUSY:
                    return False
            else:
                self._busy_since = None
            try:
                state = self._read()
                change(state)
                with contextlib.suppress(OSError):
                    os.pwrite(self._fd, state.pack(), 0)
            finally:
                if locked:
                    with contextlib.suppress(OSError):
                        fcntl.lockf(self._fd, fcntl.LOCK_UN, 1, _LOCK)
            return True

    def _take_lock(self) -> bool:
        # Of the process, not of the descriptor: a child of a fork has no part in it, a killed process none any more.
        try:
            fcntl.lockf(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, _LOCK)
        except OSError:
            return False
        return True

    def _reopen(self) -> None:
        """When somebody has removed the file, the others have a new one. Without it each knows what it found out."""
        with contextlib.suppress(OSError, DirectoryError):
            if os.fstat(self._fd).st_nlink == 0:
                fd = open_file(find_directory(self._place), self._name, _SIZE)
                os.close(self._fd)
                self._fd = fd


_gates: dict[tuple[str, str], HostGate] = {}
_gates_lock = [threading.Lock()]  # in a list, so that the child of a fork can have a new one


def host_gate(server: str, role: str, directory: str | None = None) -> HostGate | None:
    """The gate that all pools of this process share for one server and role; None when there is no place for the file.

    Without it each process has to find out by itself that the server is full.
    """
    with _gates_lock[0]:
        gate = _gates.get((server, role))
        if gate is None:
            with contextlib.suppress(OSError, DirectoryError):
                gate = _gates[server, role] = HostGate(server, role, directory)
        return gate


def boot() -> bytes:
    """Eight bytes that tell this boot of the host from all others; zeros when the kernel does not tell."""
    try:
        with open("/proc/sys/kernel/random/boot_id", "rb") as file:
            return bytes.fromhex(file.read(64).replace(b"-", b"").decode())[:8].ljust(8, b"\0")
    except (OSError, ValueError):
        return bytes(8)


def _forked() -> None:
    _gates_lock[0] = threading.Lock()
    for gate in _gates.values():
        gate.forked()


os.register_at_fork(after_in_child=_forked)
