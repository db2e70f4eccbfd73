"""Each hour of each holder summed up, so that a year can be looked at, and kept when its lives are gone.

The figures are made of the lives themselves, once the hour is over: whatever happens to a recorder meanwhile, they are
of what is in the store.
"""

from __future__ import annotations

import zlib
from array import array
from collections.abc import Sequence
from typing import NamedTuple

from pgusher.record.database import Database
from pgusher.record.lives import overlapping, spans
from pgusher.record.sweep import ALL, Buckets, seen, sweep

HOUR, MINUTE = 3_600_000, 60_000
"""In milliseconds."""
_NOBODY = 0xFFFFFFFF
_BEHIND = 24
"""Hours that are summed up at once, when a recorder has been away."""


class Minute(NamedTuple):
    """One minute of a holder; None: nobody looked."""

    least: int | None
    most: int | None
    mean: float | None


NOTHING = Minute(None, None, None)


class Hours:
    """Sums up what is over. For the one who writes."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._next: dict[int, int] = {}

    def sum_up(self, now: int) -> bool:
        """Sums up the hours that are over (now in milliseconds); whether there was any."""
        done = False
        for server, following in self._following().items():
            for at in range(following, min(now - now % HOUR, following + _BEHIND * HOUR), HOUR):
                self._sum(server, at)
                self._next[server] = at + HOUR
                done = True
        return done

    def _following(self) -> dict[int, int]:
        """For each server the first hour that is not summed up."""
        servers = [int(number) for (number,) in self._database.rows("select id from server")]
        for server in servers:
            if server in self._next:
                continue
            rows = self._database.rows("select max(at) from hour where server = ?", (server,))
            if rows[0][0] is not None:
                self._next[server] = int(rows[0][0]) + HOUR
                continue
            rows = self._database.rows("select min(since) from span where server = ?", (server,))
            if rows[0][0] is not None:
                self._next[server] = int(rows[0][0]) // HOUR * HOUR
        return {server: self._next[server] for server in servers if server in self._next}

    def _sum(self, server: int, at: int) -> None:
        looked = spans(self._database, server, at, at + HOUR)
        if not looked:
            return
        lives = overlapping(self._database, server, at, at + HOUR, "l.holder, l.since, l.until")
        each = seen(looked, at, MINUTE, 60)
        rows = [
            (server, holder, at, *_figures(buckets, each), pack(buckets, each))
            for holder, buckets in sweep(lives, looked, at, MINUTE, 60).items()
            if holder == ALL or any(buckets.slot_ms)
        ]
        self._database.run("delete from hour where server = ? and at = ?", (server, at))
        self._database.many(
            "insert into hour (server, holder, at, least, most, slot_ms, seen_ms, opened, ended, minutes)"
            " values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            rows,
        )


def _figures(buckets: Buckets, each: Sequence[int]) -> tuple[int, int, int, int, int, int]:
    least = min((n for n in buckets.least if n is not None), default=0)
    most = max((n for n in buckets.most if n is not None), default=0)
    return least, most, sum(buckets.slot_ms), sum(each), buckets.opened, buckets.ended


def pack(buckets: Buckets, each: Sequence[int]) -> bytes:
    """The minutes as bytes: three numbers each, the mean in thousandths, compressed (most minutes are like others)."""
    numbers = array("I")
    for least, most, slot_ms, looked in zip(buckets.least, buckets.most, buckets.slot_ms, each, strict=True):
        known = looked and least is not None and most is not None
        numbers.extend((least or 0, most or 0, round(slot_ms * 1000 / looked)) if known else (_NOBODY,) * 3)
    # Column by column: each of them changes seldom.
    return zlib.compress(b"".join(numbers[column::3].tobytes() for column in range(3)), 9)


def unpack(raw: bytes | None) -> tuple[Minute, ...]:
    """What `pack` was given; nothing for bytes that are none of its."""
    try:
        numbers = array("I")
        numbers.frombytes(zlib.decompress(raw or b""))
        third = len(numbers) // 3
        columns = [numbers[at : at + third] for at in (0, third, 2 * third)]
        return tuple(
            NOTHING if least == _NOBODY else Minute(least, most, mean / 1000)
            for least, most, mean in zip(*columns, strict=True)
        )
    except (zlib.error, ValueError):
        return ()


def unpack_most(raw: bytes | None) -> list[int | None]:
    """The most of each minute alone, ten times as fast; nothing for bytes that are none of `pack`'s."""
    try:
        data = zlib.decompress(raw or b"")
        third = len(data) // 3
        return [None if most == _NOBODY else most for most in memoryview(data)[third : 2 * third].cast("I")]
    except (zlib.error, ValueError, TypeError):
        return []
