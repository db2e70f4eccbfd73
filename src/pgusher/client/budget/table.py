"""What a process writes down for the others of its budget: one record of fixed size each, read in one go."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import NamedTuple

from pgusher.client.budget.shares import Asker

MAGIC = b"pgusher budget 1"
MEMBERS = 256
"""Processes that can be told apart. A further one takes free slots only, and is never waited for."""
MOST_SLOTS = 10_000
"""The largest total: an ordinary PostgreSQL server is far below."""

HEADER = 64
_RECORD = struct.Struct("<IIIIIIQ")
SIZE = 64
_PADDED = struct.Struct(f"{_RECORD.format}{SIZE - _RECORD.size}x")
FILE = HEADER + MEMBERS * SIZE

# Where the byte ranges are that stand for slots and for members: behind the contents, as nobody ever reads there.
SLOT_LOCKS = 1 << 20
MEMBER_LOCKS = 1 << 21

FRESH = 1_500_000_000
"""Nanoseconds for which a wish counts: who waits repeats it; who is stopped or stuck does not hold up the others."""


class Member(NamedTuple):
    """One record."""

    pid: int
    total: int
    minimum: int
    held: int
    idle: int
    waiting: int
    beat: int
    """When it was written, in nanoseconds of CLOCK_MONOTONIC."""

    def pack(self) -> bytes:
        """The record as bytes."""
        return _RECORD.pack(*self).ljust(SIZE, b"\0")

    def asker(self, now: int) -> Asker:
        """What it has and wants, by now; what it wanted long ago counts no more."""
        # Both ways: it may have been written after our clock was read, or by another clock (time_namespaces(7)).
        fresh = abs(now - self.beat) < FRESH
        return Asker(self.held, min(self.idle, self.held), self.waiting if fresh else 0, self.minimum)


def members(raw: bytes) -> Iterator[tuple[int, Member]]:
    """The records that are in use, with their index. A torn or nonsensical one is bounded, never an error."""
    whole = len(raw) - (len(raw) - HEADER) % SIZE
    for index, record in enumerate(_PADDED.iter_unpack(raw[HEADER:whole])):
        pid, total, minimum, held, idle, waiting, beat = record
        if pid and 0 < total <= MOST_SLOTS:
            yield (
                index,
                Member(pid, total, min(minimum, total), min(held, total), idle, min(waiting, MOST_SLOTS), beat),
            )
