"""The tables of a store, the same in SQLite and in PostgreSQL, and how an older store becomes a new one.

Times are milliseconds since 1970, those of turns seconds; `backend_start` has microseconds, as it is an identity.
`until` of a life is the first look that did not see it any more, so that a life covers [since, until).

A life's `level` is the logarithm of its length, `OPEN` while it lasts. The lives at a moment are those of each level
that began at most so long before: an index finds them in a year of lives as fast as in a day of them.
"""

from __future__ import annotations

VERSION = 1
"""Of the tables. A store of a newer one is refused."""

OPEN = 99
LEVELS = 32
"""A life of level n lasted less than 2 ** (n + 10) milliseconds: level 0 is a second, level 31 is 139 years."""


def level(length: int) -> int:
    """The level of a life of so many milliseconds."""
    return min(LEVELS - 1, max(0, length.bit_length() - 10))


def longest(of: int) -> int:
    """Milliseconds that a life of this level lasted at most."""
    return 1 << (of + 10)


TABLES = (
    "create table meta (name text primary key, value text not null)",
    """create table server (id {id} primary key, label text not null unique, port integer not null, host text)""",
    """create table holder (id {id} primary key, server integer not null, name text not null, kind text not null,
        title text not null, program text, unique (server, name))""",
    """create table chain (id {id} primary key, holder integer not null, digest text not null, body text not null,
        unique (holder, digest))""",
    """create table who (id {id} primary key, usename text, datname text, app text, client text,
        digest text not null unique)""",
    """create table life (id {id} primary key, server integer not null, pid integer not null, backend_start bigint,
        who integer not null, chain integer not null, holder integer not null, port integer, process integer,
        since bigint not null, until bigint, level integer not null, turns {blob})""",
    "create index life_at on life (server, level, since)",
    # The turns of lives that last: single ones as they happen, and packed ones, at most 128 in a row.
    """create table turn (life {big} not null, at bigint not null, state integer not null, primary key (life, at))
        {rowless}""",
    """create table turns (life {big} not null, since bigint not null, body {blob} not null, primary key (life, since))
        {rowless}""",
    """create table span (id {id} primary key, server integer not null, since bigint not null, until bigint not null,
        rung text not null, sees_all integer, samples integer not null, opened_first bigint, opened_last bigint)""",
    "create index span_at on span (server, since)",
    """create table ceiling (server integer not null, since bigint not null, most integer not null,
        superuser_reserved integer not null, reserved integer not null, certainty text not null, limits text not null,
        primary key (server, since))""",
    """create table refusal (id {id} primary key, server integer not null, since bigint not null, until bigint not null,
        number integer not null, source text not null, sqlstate text, refused_by text, ceiling text,
        words text not null)""",
    "create index refusal_at on refusal (server, since)",
    # An hour of a holder (0: all together): its figures, and those of its minutes as packed bytes.
    """create table hour (server integer not null, holder integer not null, at bigint not null, least integer not null,
        most integer not null, slot_ms bigint not null, seen_ms bigint not null, opened integer not null,
        ended integer not null, minutes {blob}, primary key (server, at, holder)) {rowless}""",
)

SQLITE = {"id": "integer", "big": "integer", "blob": "blob", "rowless": "without rowid"}
POSTGRES = {"id": "bigint", "big": "bigint", "blob": "bytea", "rowless": ""}

MIGRATIONS: dict[int, tuple[str, ...]] = {}
"""By the version that they start from: the statements that make the next version of it."""
