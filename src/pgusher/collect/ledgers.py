"""The loan ledgers of processes that use pgusher's pools: which line of which thread has a session.

A process has its ledger open at a certain descriptor (`pgusher.model.loans`), so whether it has one is a single
readlink. Only the process's own user and root may look there.
"""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Callable, Iterable

from pgusher.collect import procfs
from pgusher.model import loans, own_pools
from pgusher.model.evidence import Gap
from pgusher.model.loans import Loan
from pgusher.model.own_pools import OwnPool, parse_pool
from pgusher.model.process import Process
from pgusher.model.values import dataclass

_NAME = b"/memfd:" + loans.MEMFD.encode()
_MOST = 50_000
"""Loans that are kept of one look: more than a server has slots, or a process can be believed to have."""
_TRIES = 3
_LOOK_AGAIN = 10.0
"""Seconds for which a process that had no ledger is believed to have none."""


@dataclass(frozen=True, slots=True)
class LedgerFacts:
    """What the ledgers said, and what could not be read."""

    loans: tuple[Loan, ...] = ()
    pools: tuple[OwnPool, ...] = ()
    gaps: tuple[Gap, ...] = ()


class LedgerSource:
    """Reads ledgers. Never raises: what is torn, hostile or gone is left out."""

    def __init__(self, proc: str = "/proc", monotonic: Callable[[], float] = time.monotonic) -> None:
        self._proc = proc
        self._monotonic = monotonic
        self._without: dict[tuple[int, int], float] = {}

    def read(self, processes: Iterable[Process]) -> LedgerFacts:
        """The loans of these processes. Costs a system call for each that has no ledger, and that every ten seconds."""
        found: list[Loan] = []
        pools: list[OwnPool] = []
        denied = 0
        first, access, uid = b"%s/%%d/fd/%d" % (self._proc.encode(), loans.FIRST_FD), os.access, os.geteuid()
        now, without = self._monotonic(), {}
        for process in processes:
            key = process.pid, process.start_ticks
            seen = self._without.get(key)
            if seen is not None and now - seen < _LOOK_AGAIN:
                without[key] = seen
                continue
            # Most processes have no ledger, and this is the cheapest way to see that: no exception is made. The first
            # descriptor that is free is the one that a ledger would have.
            if not access(first % process.pid, os.F_OK):
                if uid in {0, process.uid}:
                    without[key] = now
                else:
                    denied += 1
                continue
            try:
                fd = self._open(process.pid)
                if fd is None:
                    continue
                try:
                    if (used := self._used(fd, process)) is not None:
                        found += self._loans(fd, process, used, _MOST - len(found))
                        pools += _pools(fd, process)
                finally:
                    os.close(fd)
            except PermissionError:
                denied += 1
            except OSError:
                continue  # it has ended
        self._without = without
        gaps: tuple[Gap, ...] = ()
        if denied:
            what = f"the loan ledgers of {denied} process" + ("es" if denied > 1 else "")
            gaps = (Gap("ledgers", what, "permission denied", "run pgusher as root", denied),)
        return LedgerFacts(tuple(found), tuple(pools), gaps)

    def _open(self, pid: int) -> int | None:
        for number in range(loans.FIRST_FD, loans.FIRST_FD + loans.FDS):
            path = f"{self._proc}/{pid}/fd/{number}".encode()
            if not os.readlink(path).startswith(_NAME):
                continue
            # Its name may be a lie: whatever it is, it is opened without waiting, and read as a plain file only.
            fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY)
            if stat.S_ISREG(os.fstat(fd).st_mode):
                return fd
            os.close(fd)
        return None

    def _used(self, fd: int, process: Process) -> int | None:
        """The records that are in use; None when it is no ledger, or another process's."""
        header = loans.parse_header(os.pread(fd, loans.HEADER.size, 0))
        if header is None:
            return None
        pid, start, used = header
        # The child of a fork has its parent's open until it uses a pool itself.
        if start != process.start_ticks or not (pid == process.pid or pid == self._inner_pid(process.pid)):
            return None
        return used

    @staticmethod
    def _loans(fd: int, process: Process, used: int, room: int) -> list[Loan]:
        found: list[Loan] = []
        before = os.pread(fd, used * loans.SIZE, loans.RECORDS_AT)
        after = os.pread(fd, used * loans.SIZE, loans.RECORDS_AT)
        for at in range(0, min(len(before), len(after)), loans.SIZE):
            raw, again = before[at : at + loans.SIZE], after[at : at + loans.SIZE]
            for _ in range(_TRIES):
                if raw == again:
                    break
                raw, again = again, os.pread(fd, loans.SIZE, loans.RECORDS_AT + at)  # it is written right now
            loan = loans.parse_record(again, process.pid)
            if loan is not None and len(found) < room:
                found.append(loan)
        return found

    def _inner_pid(self, pid: int) -> int | None:
        """The pid by which a process in a container knows itself (NSpid in proc_pid_status(5))."""
        for line in procfs.read(f"{self._proc}/{pid}/status").split(b"\n"):
            if line.startswith(b"NSpid:"):
                return procfs.parse_number(line.split()[-1])
        return None


def _pools(fd: int, process: Process) -> list[OwnPool]:
    found, raw = [], b""
    size, each = own_pools.POOL.size, own_pools.PLACE.size
    for _ in range(_TRIES):
        raw = os.pread(fd, own_pools.END - own_pools.POOLS_AT, own_pools.POOLS_AT)  # one of before has less
        if raw == os.pread(fd, own_pools.END - own_pools.POOLS_AT, own_pools.POOLS_AT):
            break
    records, places = raw[: own_pools.POOLS * size], raw[own_pools.POOLS * size :]
    for index in range(len(records) // size):
        pool = parse_pool(
            records[index * size : (index + 1) * size], process.pid, places[index * each : (index + 1) * each]
        )
        if pool is not None:
            found.append(pool)
    return found
