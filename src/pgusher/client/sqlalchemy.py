"""SQLAlchemy: an engine whose sessions carry their name, keep a budget, and are told with their line.

    engine = create_engine("postgresql+psycopg://", **pgusher.sqlalchemy.options("orders", max_size=10))

The pool is ours; SQLAlchemy's is switched off (NullPool), and what it closes comes back to ours. So pool_size,
max_overflow, pool_timeout, pool_recycle and pool_pre_ping are not to be given: max_size and timeout are, and the rest
is done anyway. Several engines of one database share its pool. For asyncio there is no such thing yet.
"""

from __future__ import annotations

import inspect
import os
import threading
from typing import Any

import sqlalchemy
from psycopg.rows import tuple_row
from psycopg_pool import ConnectionPool
from sqlalchemy.pool import NullPool

from pgusher.client import loans, registry
from pgusher.client.blocks import Blocks
from pgusher.client.database import Database
from pgusher.client.registry import DatabaseError

_told = threading.Event()


def options(name_or_dsn: str = "", **given: Any) -> dict[str, Any]:
    """Arguments for `create_engine`. `given` are those of `pgusher.Database`.

    Raises DatabaseError and ConfigError as that does, and DatabaseError with a psycopg_pool before 3.3, which cannot
    take a connection back when it is closed.
    """
    if "close_returns" not in inspect.signature(ConnectionPool.__init__).parameters:
        raise DatabaseError(
            "an engine of SQLAlchemy needs psycopg_pool 3.3 or later", hint='pip install "psycopg-pool>=3.3"'
        )
    _skip_frames()
    kwargs = {"row_factory": tuple_row, **given.pop("kwargs", {})}
    # Rows are tuples there, so it is another pool than that of the same `Database`.
    entry = registry.entry(name_or_dsn, {**given, "kwargs": kwargs, "close_returns": True}, kind="sqlalchemy")

    def borrow() -> Any:
        return entry.opened().getconn()

    return {"creator": borrow, "poolclass": NullPool}


def database(name_or_dsn: str = "") -> Database:
    """The same pool as a `Database`, for its figures: `database("orders").metrics()`."""
    made = Database.__new__(Database)
    made._entry = registry.entry(name_or_dsn, {}, kind="sqlalchemy")  # noqa: SLF001  # a class of ours
    made._entered = Blocks()  # noqa: SLF001  # a class of ours
    return made


def _skip_frames() -> None:
    """The line that borrows is the one that uses SQLAlchemy, not one within it."""
    if _told.is_set():
        return
    for directory, _, names in os.walk(os.path.dirname(sqlalchemy.__file__)):
        loans.OWN_FILES.update({os.path.join(directory, name): True for name in names if name.endswith(".py")})
    _told.set()
