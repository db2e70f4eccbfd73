"""A store on a PostgreSQL server, for those who outgrow a file. By libpq, as everything here: no driver is imported.

It takes one session of that server, named as pgusher's. The tables are in the schema `pgusher`. Statements that change
something are gathered, and sent with the commit: a recorder costs one round trip in two seconds.
"""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Iterable, Sequence

from pgusher.collect.postgres.connect import BrokenError, ConnectError, Connection, QueryError, open_connection
from pgusher.collect.postgres.libpq import LibpqMissingError, load
from pgusher.model.redact import redact_text
from pgusher.record import schema
from pgusher.record.database import Row, StoreError, taken

_TIMEOUT = 10.0
_LOCK = 5_787_215_104
"""The advisory lock of the one who writes: a number that nobody else is likely to use."""
_BYTES = frozenset({"turns", "body", "minutes"})
"""Columns that may hold bytes; no text in them begins with a backslash."""
_MOST = 4000
"""Statements that are sent at once."""


class PostgresDatabase:
    """One connection. For one thread."""

    words = schema.POSTGRES

    def __init__(self, dsn: str, *, timeout: float = _TIMEOUT) -> None:
        """Connects, and makes the schema if need be. Raises StoreError."""
        self.name = redact_text(dsn)
        self._timeout = timeout
        self._waiting: list[str] = []
        self._begun = False
        self._connection = self._connect(dsn)
        try:
            self._run(
                "set search_path = pgusher; set standard_conforming_strings = on; set client_min_messages = error"
            )
        except BaseException:
            self.close()
            raise

    @property
    def started(self) -> int | None:
        """When that server was started, in microseconds: by it and its port it is known."""
        rows = self.rows("select (extract(epoch from pg_catalog.pg_postmaster_start_time()) * 1000000)::bigint as t")
        return int(rows[0][0])

    def has_tables(self) -> bool:
        """As Database."""
        return bool(self.rows("select 1 as one where pg_catalog.to_regclass('pgusher.meta') is not null"))

    def rows(self, sql: str, values: Sequence[object] = ()) -> list[Row]:
        """As Database. What waits is sent before, so that it is seen."""
        self._send()
        query = _filled(sql, values)
        (lines,) = self._run(f"copy (select row_to_json(q) from ({query}) q) to stdout")  # noqa: S608 - values are quoted
        return [tuple(_value(*pair) for pair in json.loads(_plain(line)).items()) for line in lines]

    def run(self, sql: str, values: Sequence[object] = ()) -> None:
        """As Database."""
        self._waiting.append(_filled(sql, values))
        if len(self._waiting) >= _MOST:
            self._send()

    def many(self, sql: str, values: Iterable[Sequence[object]]) -> None:
        """As Database."""
        for each in values:
            self.run(sql, each)

    def commit(self) -> None:
        """As Database."""
        self._send(end="commit")

    def rollback(self) -> None:
        """As Database."""
        self._waiting.clear()
        if self._begun:
            self._begun = False
            with contextlib.suppress(StoreError):
                self._run("rollback")

    def size(self) -> int | None:
        """As Database: a table of a server does not shrink when rows go, so its size says nothing of what is left."""
        return None

    def shrink(self) -> None:
        """The server's own autovacuum does."""

    def lock(self) -> None:
        """As Database: an advisory lock of the session, which ends with it."""
        self._run("create schema if not exists pgusher")
        if not self.rows(f"select 1 as one where pg_catalog.pg_try_advisory_lock({_LOCK})"):
            raise taken(self.name, "")

    def close(self) -> None:
        """As Database."""
        self._connection.close()

    def _send(self, end: str = "") -> None:
        if not self._waiting and not (end and self._begun):
            return
        statements = ([] if self._begun else ["begin"]) + self._waiting + ([end] if end else [])
        self._waiting = []
        self._begun = not end
        self._run("; ".join(statements))

    def _connect(self, dsn: str) -> Connection:
        words = (("dbname", dsn), ("fallback_application_name", "pgusher"), ("connect_timeout", "10"))
        try:
            connection, error = open_connection(load(), words, time.monotonic() + self._timeout)
        except (ConnectError, LibpqMissingError) as failed:
            raise self._failed("opened", failed) from None
        if error is not None:
            connection.close()
            raise self._failed("opened", error)
        return connection

    def _run(self, sql: str) -> list[list[bytes]]:
        try:
            return self._connection.run(sql, time.monotonic() + self._timeout)
        except (QueryError, BrokenError) as error:
            if self._begun:
                self._begun = False
                with contextlib.suppress(QueryError, BrokenError):
                    self._connection.run("rollback", time.monotonic() + self._timeout)
            raise self._failed("read or written", error) from None

    def _failed(self, what: str, error: Exception) -> StoreError:
        return StoreError(f"store {self.name} could not be {what}", detail=redact_text(" ".join(str(error).split())))


def _filled(sql: str, values: Sequence[object]) -> str:
    """The statement with its values in the place of its question marks."""
    parts = sql.split("?")
    return "".join(part + literal for part, literal in zip(parts, [*map(_literal, values), ""], strict=True))


def _literal(value: object) -> str:
    if value is None:
        return "null"
    if isinstance(value, int):
        return str(int(value))
    if isinstance(value, bytes):
        return f"'\\x{value.hex()}'::bytea"
    # Standard strings: a quote is the only character that means anything (source: PostgreSQL documentation, 4.1.2.1).
    return "'" + str(value).replace("\0", "").replace("'", "''") + "'"


def _plain(line: bytes) -> str:
    """A line of COPY with one column of JSON: of what COPY escapes only the backslash occurs in it."""
    return line.decode("utf-8").replace("\\\\", "\\")


def _value(name: str, value: object) -> object:
    if name in _BYTES and isinstance(value, str) and value.startswith("\\x"):
        return bytes.fromhex(value[2:])
    return value
