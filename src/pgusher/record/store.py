"""A store opened: its place, its version, who may write."""

from __future__ import annotations

import os

from pgusher.record import schema
from pgusher.record.database import Database, SqliteDatabase, StoreError
from pgusher.record.place import default_path, is_dsn


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
