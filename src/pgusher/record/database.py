"""What a store's tables live in: SQLite in a file, or a PostgreSQL server. Both take the same statements."""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Protocol

from pgusher.errors import PgusherError
from pgusher.record import schema

Row = tuple[Any, ...]
_PATIENCE = 3.0
"""Seconds that a statement waits for another process that writes: a checkpoint, a copy being made."""


class StoreError(PgusherError):
    """The store could not be read or written. The primary line names it, with the reason."""


class Database(Protocol):
    """One connection to the tables. `?` stands for a value. Every method raises StoreError."""

    name: str
    """For messages: the file, or the server."""
    words: dict[str, str]
    """What the words in braces of `schema.TABLES` are here."""

    @property
    def started(self) -> int | None:
        """When the server that it is on was started (microseconds); None for a file."""

    def has_tables(self) -> bool:
        """Whether there are any of a store's."""

    def rows(self, sql: str, values: Sequence[object] = ()) -> list[Row]:
        """What a query gives."""

    def run(self, sql: str, values: Sequence[object] = ()) -> None:
        """Runs a statement that changes something; a transaction begins with the first."""

    def many(self, sql: str, values: Iterable[Sequence[object]]) -> None:
        """Runs one statement for many rows of values."""

    def commit(self) -> None:
        """What was changed stays, whatever happens to this process."""

    def rollback(self) -> None:
        """What was changed since the last commit is forgotten."""

    def size(self) -> int | None:
        """Bytes that the content takes; None where that cannot be told from the room that deleted rows have left."""

    def shrink(self) -> None:
        """Gives room that is free back to the system, a little at a time."""

    def lock(self) -> None:
        """Keeps other writers out until `close`. Raises StoreError when one is there."""

    def close(self) -> None:
        """Leaves. What was not committed is forgotten."""


class SqliteDatabase:
    """A file, with a write-ahead log: one writes, and others read beside it without waiting.

    What was committed survives the end of the process at any moment. After a power failure the last commits may be
    missing, never torn (source: SQLite documentation, "PRAGMA synchronous", NORMAL with WAL).
    """

    words = schema.SQLITE

    def __init__(self, path: str, *, write: bool) -> None:
        """`path` is made when it is to be written. Raises StoreError."""
        self.name = path
        self._lock: int | None = None
        try:
            with self._told("opened"):
                self._open(path, write=write)
        except StoreError:
            if hasattr(self, "_connection"):  # the file is no database: that is seen at the first statement
                self._connection.close()
            raise

    def _open(self, path: str, *, write: bool) -> None:
        if write:
            os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600))
            # One at a time writes, but not always the same thread: a page closes what its looks have written.
            self._connection = sqlite3.connect(path, timeout=_PATIENCE, isolation_level=None, check_same_thread=False)
            self._connection.execute("pragma auto_vacuum = incremental")  # counts for a new file only
            self._connection.execute("pragma journal_mode = wal")
            self._connection.execute("pragma synchronous = normal")
            self._connection.execute("pragma journal_size_limit = 4194304")
        else:
            self._connection = sqlite3.connect(_uri(path), timeout=_PATIENCE, isolation_level=None, uri=True)
            self._connection.execute("select count(*) from sqlite_master")

    @property
    def started(self) -> int | None:
        """As Database: it is on none."""
        return None

    def has_tables(self) -> bool:
        """As Database."""
        return bool(self.rows("select 1 from sqlite_master where name = 'meta'"))

    def rows(self, sql: str, values: Sequence[object] = ()) -> list[Row]:
        """As Database."""
        with self._told("read"):
            return self._connection.execute(sql, values).fetchall()

    def run(self, sql: str, values: Sequence[object] = ()) -> None:
        """As Database."""
        with self._told("written"):
            self._begin()
            self._connection.execute(sql, values)

    def many(self, sql: str, values: Iterable[Sequence[object]]) -> None:
        """As Database."""
        with self._told("written"):
            self._begin()
            self._connection.executemany(sql, values)

    def commit(self) -> None:
        """As Database."""
        with self._told("written"):
            if self._connection.in_transaction:
                self._connection.execute("commit")

    def rollback(self) -> None:
        """As Database."""
        with contextlib.suppress(sqlite3.Error):
            if self._connection.in_transaction:
                self._connection.execute("rollback")

    def size(self) -> int:
        """As Database."""
        pages, free, each = (
            self.rows(f"pragma {name}")[0][0] for name in ("page_count", "freelist_count", "page_size")
        )
        return int((pages - free) * each)

    def shrink(self) -> None:
        """As Database."""
        with self._told("written"):
            self._connection.execute("pragma incremental_vacuum(2000)").fetchall()

    def lock(self) -> None:
        """As Database: a lock that the kernel takes back when its process ends, however it ends."""
        import fcntl

        with self._told("locked"):
            self._lock = os.open(f"{self.name}.lock", os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            with contextlib.suppress(OSError):
                pid = os.pread(self._lock, 20, 0).decode("ascii", "replace").strip()
            raise taken(self.name, pid) from None
        os.ftruncate(self._lock, 0)
        os.pwrite(self._lock, f"{os.getpid()}\n".encode(), 0)

    def close(self) -> None:
        """As Database."""
        self.rollback()
        with contextlib.suppress(sqlite3.Error):
            self._connection.close()
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def _begin(self) -> None:
        if not self._connection.in_transaction:
            self._connection.execute("begin immediate")

    @contextlib.contextmanager
    def _told(self, what: str) -> Iterator[None]:
        try:
            yield
        except (sqlite3.Error, OSError, OverflowError) as error:
            reason = (getattr(error, "strerror", None) or str(error)).lower()
            hint = None
            if isinstance(error, sqlite3.DatabaseError) and getattr(error, "sqlite_errorcode", 0) & 0xFF in {11, 26}:
                hint = f"move it away, and a new one is begun: mv {self.name} {self.name}.broken"
            raise StoreError(f"store {self.name} could not be {what}: {reason}", hint=hint) from None


def taken(name: str, who: str) -> StoreError:
    """Another recorder writes."""
    return StoreError(
        f"store {name} is written by another recorder" + (f", process {who}" if who else ""),
        hint="one is enough for all servers of a host; another store: --store FILE",
    )


def _uri(path: str) -> str:
    from urllib.parse import quote

    return f"file:{quote(os.path.abspath(path))}?mode=ro"
