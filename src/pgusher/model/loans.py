"""Loans: which line of which thread holds a session, as the process itself keeps book of it; and how that is written.

The ledger of a process is memory with a name (memfd_create(2)), open at a descriptor from `FIRST_FD` on. So it needs no
directory, cannot be squatted or be left behind, and is found through /proc/PID whatever namespaces the process is in;
only its own user and root may open it there (proc(5), PTRACE_MODE_READ_FSCREDS). Its header names the process that
writes it, as the child of a fork has the same descriptor.

Everything in it is hostile text: a process can write there what it likes.
"""

from __future__ import annotations

import struct

from pgusher.model.address import Micros
from pgusher.model.values import dataclass

MEMFD = "pgusher-ledger"
FIRST_FD = 1000
"""Beyond what a program has open by itself, below the soft limit of 1024 that most systems set."""
FDS = 4
"""How many descriptors from there on are looked at."""
SLOTS = 2048

HEADER = struct.Struct("<8sIIQII")
"""Magic, size of a record, pid in its own namespace, start in ticks since boot, records in use, `SERVES` or 0."""
MAGIC = b"pgloan1\0"
SERVES = 1
"""It looks for questions."""
REQUEST_AT = 32
REQUEST = struct.Struct("<II")
"""A number that was not asked before, and the pid of who asks: "give back what is idle, now"."""
ANSWER_AT = 40
ANSWER = struct.Struct("<IIIIII")
"""The number of the question; connections given back, lent, kept; pools that did not answer; the number again."""
RECORDS_AT = 64
RECORD = struct.Struct("<IIqqQII136s40s40sI")
"""Sequence, state, since, connected at, thread id, server process, line; file, thread, task (UTF-8); sequence."""
SIZE = RECORD.size
STATE_AT = 4
BACK = struct.Struct("<Iq")
"""State and since, as they are written when a session comes back."""
FILE_BYTES, THREAD_BYTES, TASK_BYTES = 136, 40, 40
NOBODYS, IDLE, LENT = 0, 1, 2
"""States of a record: of no session, of one that is in the pool, of one that is lent."""


@dataclass(frozen=True, slots=True)
class Loan:
    """What a process says of one session that its pool has. The texts are hostile until rendered."""

    process: int
    """Pid of the process whose ledger it is."""
    backend_pid: int
    connected_at: Micros
    """When it was let in, by the clock of the process: a little after the server's backend_start."""
    lent: bool
    """Whether it is lent now; else it is idle in its pool."""
    since: Micros
    """When it was lent, or came back last."""
    file: str | None = None
    """The file of the borrowing line; a long path has lost its beginning."""
    line: int | None = None
    thread: str | None = None
    thread_id: int | None = None
    """The kernel's number of the thread, in the namespace of the process."""
    task: str | None = None
    """The asyncio task within the thread."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a process says it did when it was asked to give back what is idle."""

    given_back: int
    lent: int
    """Connections that are on loan, and stay so."""
    kept: int
    """Those that are idle and kept, as the pool is to have so many (min_size)."""
    silent: int
    """Pools that did not answer: their event loop is held up."""


def serves(raw: bytes) -> bool:
    """Whether the process of this header looks for questions."""
    return len(raw) >= HEADER.size and HEADER.unpack_from(raw)[5] == SERVES


def parse_answer(raw: bytes, serial: int) -> Answer | None:
    """The answer to the question of this number; None when it is not there, or torn as it is being written."""
    if len(raw) < ANSWER.size:
        return None
    first, given, lent, kept, silent, last = ANSWER.unpack_from(raw)
    return Answer(given, lent, kept, silent) if first == last == serial else None


def parse_header(raw: bytes) -> tuple[int, int, int] | None:
    """Pid, start in ticks and records in use of a ledger; None when it is none, or of a later format."""
    if len(raw) < HEADER.size:
        return None
    magic, size, pid, start, used, _ = HEADER.unpack_from(raw)
    return (pid, start, min(used, SLOTS)) if magic == MAGIC and size == SIZE else None


def parse_record(raw: bytes, process: int) -> Loan | None:
    """One record; None when it is of no session, or torn as it is being written. Raises nothing."""
    if len(raw) < RECORD.size:
        return None
    first, state, since, connected, tid, backend, line, file, thread, task, last = RECORD.unpack_from(raw)
    if first != last or state not in {IDLE, LENT} or not 0 < backend < 1 << 31:
        return None
    if not (0 <= connected < _LATEST and 0 <= since < _LATEST):
        return None
    if state == IDLE:
        return Loan(process, backend, connected, False, since)
    return Loan(
        process, backend, connected, True, since, _text(file), line or None, _text(thread), tid % (1 << 31) or None,
        _text(task),
    )  # fmt: skip


_LATEST = 1 << 53  # the year 2255


def _text(raw: bytes) -> str | None:
    # A cut may have gone through a character: what is left of it is dropped.
    return raw.rstrip(b"\0").decode("utf-8", "ignore") or None
