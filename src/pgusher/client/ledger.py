"""The ledger of this process: which session is lent to which thread and line, for whoever looks from outside.

`pgusher who` reads it, see `pgusher.model.loans` for its form. No SQL, no parameter, no connection string is in it.
What a loan costs is two stores into memory that is mapped: no lock, no system call. When there can be no
ledger (no memfd, no descriptor free) everything works as before, and nothing can be read from outside.
"""

from __future__ import annotations

import contextlib
import fcntl
import mmap
import os
import threading
from time import time_ns

from pgusher.model import loans, own_pools

_MOST = 4096
_SIZE = own_pools.END

# Bound once: each is looked up on the way of every loan.
_PACK, _BACK = loans.RECORD.pack_into, loans.BACK.pack_into
_IDLE, _LENT, _STATE_AT = loans.IDLE, loans.LENT, loans.STATE_AT
_threads: dict[int, threading.Thread] = threading._active  # type: ignore[attr-defined]  # noqa: SLF001 - see `lent`


class _Slot:
    """A session that has a record."""

    __slots__ = ("at", "backend", "connected", "sequence")

    def __init__(self, at: int, backend: int, connected: int) -> None:
        self.at = at
        self.backend = backend
        self.connected = connected
        self.sequence = 1


class Ledger:
    """Writes the ledger. A `pgusher.client.ledger_hook.Ledger`; one for all pools of a process (`own_ledger`).

    Each slot is written by one thread at a time: whoever has the session.
    """

    def __init__(self) -> None:
        self._paths: dict[str, bytes] = {}
        self._names: dict[str, bytes] = {}
        self._slots: list[_Slot | None] = []
        self._pools: list[object | None] = []
        self._sequence = 0
        self._lock = threading.Lock()
        self._fd = -1
        self._map: mmap.mmap | None = None
        self._open()

    def _open(self) -> None:
        try:
            made = os.memfd_create(loans.MEMFD, os.MFD_CLOEXEC)
        except (OSError, AttributeError):
            return
        try:
            os.fchmod(made, 0o600)
            # Pages come into being as they are written: a pool of ten takes one or two.
            os.ftruncate(made, _SIZE)
            # At a number that is found without listing all descriptors; a low limit of them leaves none.
            self._fd = fcntl.fcntl(made, fcntl.F_DUPFD_CLOEXEC, loans.FIRST_FD)
            self._map = mmap.mmap(self._fd, _SIZE)
        except (OSError, ValueError):
            self.close()
        finally:
            os.close(made)
        self._head(0)

    def _head(self, used: int) -> None:
        if self._map is not None:
            loans.HEADER.pack_into(
                self._map, 0, loans.MAGIC, loans.SIZE, os.getpid(), _start_ticks(), used, loans.SERVES
            )

    @property
    def writes(self) -> bool:
        """Whether there is a ledger: else nothing is kept."""
        return self._map is not None

    def asked(self) -> int:
        """The number of the question that was asked last (`pgusher.client.drain`); 0 when none was."""
        book = self._map
        return 0 if book is None else int(loans.REQUEST.unpack_from(book, loans.REQUEST_AT)[0])

    def answer(self, serial: int, answer: loans.Answer) -> None:
        """Answer it."""
        book = self._map
        if book is not None:
            loans.ANSWER.pack_into(
                book, loans.ANSWER_AT, serial, answer.given_back, answer.lent, answer.kept, answer.silent, serial
            )

    def opened(self, slot: int, backend_pid: int, connected_at: float) -> None:
        """A session has this slot from now on."""
        book = self._map
        if book is None or slot >= loans.SLOTS:
            return
        connected = int(connected_at * 1e6)
        with self._lock:  # not on the way of a loan
            if slot >= len(self._slots):
                self._slots.extend([None] * (slot + 1 - len(self._slots)))
                self._head(len(self._slots))
            self._sequence = (self._sequence + 1) & 0xFFFFFFFF
            at = loans.RECORDS_AT + slot * loans.SIZE
            _PACK(book, at, self._sequence, loans.IDLE, connected, connected, 0, backend_pid, 0, b"", b"", b"",
                  self._sequence)  # fmt: skip
            self._slots[slot] = _Slot(at, backend_pid, connected)

    def lent(self, slot: int, ident: int, native_id: int, task: str, filename: str, line: int) -> None:
        """It is lent from now on."""
        try:
            book, known = self._map, self._slots[slot]
        except IndexError:
            return
        if book is None or known is None:
            return
        path = self._paths.get(filename) or self._path(filename)
        thread = _threads.get(ident)  # current_thread() would enter a foreign one among those of threading
        name = thread.name if thread is not None else ""
        # The same at the beginning and the end: who reads it while it is written finds them different.
        known.sequence = sequence = (known.sequence + 1) & 0xFFFFFFFF
        _PACK(book, known.at, sequence, _LENT, time_ns() // 1000, known.connected, native_id, known.backend, line, path,
              self._names.get(name) or self._name(name), task.encode("utf-8", "replace") if task else b"",
              sequence)  # fmt: skip

    def returned(self, slot: int) -> None:
        """It is back."""
        try:
            book, known = self._map, self._slots[slot]
        except IndexError:
            return
        if book is not None and known is not None:
            _BACK(book, known.at + _STATE_AT, _IDLE, time_ns() // 1000)

    def closed(self, slot: int) -> None:
        """The slot is nobody's."""
        with self._lock:
            known = self._slots[slot] if slot < len(self._slots) else None
            if known is not None and self._map is not None:
                self._slots[slot] = None
                _BACK(self._map, known.at + _STATE_AT, loans.NOBODYS, 0)

    def pool(
        self,
        key: object,
        name: str,
        figures: tuple[int, ...],
        budget: tuple[str, int] | None,
        place: tuple[str, int] = ("", 0),
    ) -> None:
        """A pool of this process, and how it stands; see `pgusher.client.ledger_hook.Ledger`."""
        book = self._map
        if book is None:
            return
        with self._lock:
            index = self._place(key)
            if index is None:
                return
            at = own_pools.POOLS_AT + index * own_pools.POOL.size
            low, high, size, most, lent, requests, busy, since = figures
            self._sequence = sequence = (self._sequence + 1) & 0xFFFFFFFF
            shared, total = budget or ("", 0)
            address, port = place
            # Before the record, whose sequence it has: a reader finds both, or the record alone.
            own_pools.PLACE.pack_into(
                book, own_pools.PLACES_AT + index * own_pools.PLACE.size, sequence, port,
                address.encode("utf-8", "replace")[: own_pools.NAME_BYTES], sequence,
            )  # fmt: skip
            own_pools.POOL.pack_into(
                book, at, sequence, 1, low, high, size, most, lent, total, requests, busy, since,
                name.encode("utf-8", "replace")[: own_pools.NAME_BYTES],
                shared.encode("utf-8", "replace")[: own_pools.NAME_BYTES], sequence,
            )  # fmt: skip

    def pool_closed(self, key: object) -> None:
        """It is no more."""
        with self._lock:
            if key in self._pools and self._map is not None:
                index = self._pools.index(key)
                self._pools[index] = None
                at = own_pools.POOLS_AT + index * own_pools.POOL.size
                self._map[at : at + own_pools.POOL.size] = bytes(own_pools.POOL.size)

    def _place(self, key: object) -> int | None:
        """Under the lock: which record is a pool's; None where there is no room for one more."""
        if key in self._pools:
            index = self._pools.index(key)
        elif None in self._pools:
            index = self._pools.index(None)
            self._pools[index] = key
        elif len(self._pools) < own_pools.POOLS:
            index = len(self._pools)
            self._pools.append(key)
        else:
            return None
        return index

    def _path(self, filename: str) -> bytes:
        # The end of a path says more than its beginning.
        raw = filename.encode("utf-8", "backslashreplace")[-loans.FILE_BYTES :]
        if len(self._paths) >= _MOST:
            self._paths.clear()
        self._paths[filename] = raw
        return raw

    def _name(self, name: str) -> bytes:
        raw = name.encode("utf-8", "backslashreplace")[: loans.THREAD_BYTES]
        if len(self._names) >= _MOST:
            self._names.clear()
        self._names[name] = raw
        return raw

    def forked(self) -> None:
        """This is the child of a fork: the parent's book is left alone, and a new one begun."""
        self.close()
        self._lock = threading.Lock()
        self._open()

    def close(self) -> None:
        """Nothing is kept from now on."""
        # The map is not closed: a thread may be writing. It goes when nobody refers to it.
        self._map = None
        self._slots = []
        self._pools = []
        if self._fd >= 0:
            with contextlib.suppress(OSError):
                os.close(self._fd)
            self._fd = -1


def _start_ticks() -> int:
    """When this process started, in ticks since boot (proc(5), field 22 of stat); 0 when /proc does not tell."""
    try:
        with open("/proc/self/stat", "rb") as file:
            raw = file.read(1024)
        return int(raw[raw.rindex(b")") :].split()[20])
    except (OSError, ValueError, IndexError):
        return 0


_own: list[Ledger] = []
_own_lock = [threading.Lock()]  # in a list, so that the child of a fork can have a new one


def own_ledger() -> Ledger:
    """The ledger of this process, made on first use."""
    with _own_lock[0]:
        if not _own:
            _own.append(Ledger())
        return _own[0]


def made_ledger() -> Ledger | None:
    """The same if there is one already."""
    return _own[0] if _own else None


def _forked() -> None:
    _own_lock[0] = threading.Lock()
    for ledger in _own:
        ledger.forked()


os.register_at_fork(after_in_child=_forked)
