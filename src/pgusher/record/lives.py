"""The lives at a moment or over a time, found by their level: as fast in a year of lives as in a day of them."""

from __future__ import annotations

from pgusher.record import schema
from pgusher.record.database import Database, Row


def overlapping(database: Database, server: int, since: int, until: int, columns: str, joins: str = "") -> list[Row]:
    """The lives that were there at some time of [since, until), in milliseconds; the table is called l."""
    parts, values = [], []
    head = f"select {columns} from life l {joins} where l.server = ? and l.level = ? and l.since < ?"  # noqa: S608 - our own columns
    for level in levels(database, server):
        if level == schema.OPEN:
            parts.append(head)
            values += [server, level, until]
        else:
            # Written out, so that each part is one walk through the index.
            parts.append(f"{head} and l.since > ? and l.until > ?")
            values += [server, level, until, since - schema.longest(level), since]
    return database.rows(" union all ".join(parts), values) if parts else []


def levels(database: Database, server: int) -> list[int]:
    """The levels of which there is any life: each found by one step in the index."""
    found: list[int] = []
    after = -1
    while True:
        rows = database.rows(
            "select level from life where server = ? and level > ? order by level limit 1", (server, after)
        )
        if not rows:
            return found
        after = int(rows[0][0])
        found.append(after)


def spans(database: Database, server: int, since: int, until: int) -> list[tuple[int, int]]:
    """The times within [since, until) in which the server was looked at, in order, without overlaps."""
    rows = database.rows(
        "select since, until from span where server = ? and since < ? and since >= ? order by since",
        (server, until, since - LONGEST_SPAN),
    )
    found: list[tuple[int, int]] = []
    for first, last in rows:
        begin, end = max(int(first), since), min(int(last), until)
        if found:
            begin = max(begin, found[-1][1])
        if begin >= end:
            continue
        if found and found[-1][1] == begin:
            begin = found.pop()[0]
        found.append((begin, end))
    return found


LONGEST_SPAN = 2 * 3_600_000
"""Milliseconds that a span lasts at most: another begins with each hour."""
