"""A store opened: its place, its version, who may write."""

from __future__ import annotations

import os
from collections.abc import Mapping

from pgusher.record import schema
from pgusher.record.database import Database, SqliteDatabase, StoreError


def default_path(environ: Mapping[str, str] | None = None, uid: int | None = None) -> str:
    """The store of a user: /var/lib/pgusher/record/record.db for root, below $XDG_STATE_HOME/pgusher for others.

    Below PGUSHER_STATE where that is set.
    """
    environ = os.environ if environ is None else environ
    if (state := environ.get("PGUSHER_STATE", "")).startswith("/"):
        base = state
    elif (os.geteuid() if uid is None else uid) == 0:
        base = "/var/lib/pgusher"
    else:
        state = environ.get("XDG_STATE_HOME", "")
        if not state.startswith("/"):
            state = os.path.join(environ.get("HOME") or os.path.expanduser("~"), ".local", "state")
        base = os.path.join(state, "pgusher")
    return os.path.join(base, "record", "record.db")


def is_dsn(place: str) -> bool:
    """Whether a place names a server, and no file."""
    return place.startswith(("postgresql://", "postgres://")) or ("=" in place and "/" not in place.partition("=")[0])


def open_store(place: str | None = None, *, write: bool = False) -> Database:
    """The store at a file's path, or on the server that a connection string names; by default that of this user.

    With `write` it is made if need be, brought to this version, and locked. Raises StoreError: also for a store of a
    newer version, for one that another recorder writes, and for a file that is not there.
    """
    place = place or default_path()
    if is_dsn(place):
        from pgusher.record.postgres import PostgresDatabase  # late: a file is the rule

        database: Database = PostgresDatabase(place)
    else:
        if not write and not os.path.exists(place):
            raise StoreError(f"store {place} is not there: nothing was recorded", hint="pgusher record")
        if write:
            _make(os.path.dirname(os.path.abspath(place)))
        database = SqliteDatabase(place, write=write)
    try:
        if write:
            database.lock()
        _check(database, write)
    except BaseException:
        database.close()
        raise
    return database


def exists(place: str | None = None) -> bool:
    """Whether there is a store in a file, for who would look into it only if there is one."""
    place = place or default_path()
    return not is_dsn(place) and os.path.exists(place)


def _make(directory: str) -> None:
    try:
        os.makedirs(directory, mode=0o700, exist_ok=True)
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise StoreError(f"store directory {directory} could not be made: {reason}", hint="--store FILE") from None


def _check(database: Database, write: bool) -> None:
    version = _version(database)
    if version > schema.VERSION:
        raise StoreError(
            f"store {database.name} is of version {version}, this pgusher knows {schema.VERSION}",
            hint="upgrade pgusher, or record into another store: --store FILE",
        )
    if version == schema.VERSION:
        return
    if not write:
        if version == 0:
            raise StoreError(f"store {database.name} is empty: nothing was recorded", hint="pgusher record")
        raise StoreError(
            f"store {database.name} is of version {version}, this pgusher reads {schema.VERSION}",
            hint="pgusher record brings it to this version",
        )
    statements = (
        schema.TABLES if version == 0 else [s for v in range(version, schema.VERSION) for s in schema.MIGRATIONS[v]]
    )
    for statement in statements:
        database.run(statement.format(**database.words))
    database.run("delete from meta where name = 'version'")
    database.run("insert into meta (name, value) values ('version', ?)", (str(schema.VERSION),))
    database.commit()


def _version(database: Database) -> int:
    """0 for a store without tables."""
    if not database.has_tables():
        return 0
    found = database.rows("select value from meta where name = 'version'")
    return int(found[0][0]) if found else 0
