"""The incident's kind of Database class, with its faults kept: class-level pools, a context manager that swallows every
error, closing left to atexit. A library for the scripts beside it. (The incident's own made its pools without a lock,
6 to 18 of them instead of 3; these scripts call init() first, so that there are exactly as many as wanted.)
"""

from __future__ import annotations

import atexit
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from psycopg.rows import dict_row
from psycopg_pool import ConnectionPool

log = logging.getLogger("incident")
SIZE = int(os.environ.get("INCIDENT_SIZE", "5"))


class Database:
    """`with Database() as cursor:`."""

    pool: ConnectionPool[Any]

    @classmethod
    def init(cls) -> None:
        """Open the pool, whole."""
        cls.pool = ConnectionPool(os.environ["PGUSHER_DSN"], min_size=SIZE, max_size=SIZE, open=True)
        cls.pool.wait()
        atexit.register(cls.close)

    @contextmanager
    def __new__(cls) -> Iterator[Any]:  # type: ignore[misc]  # the trick of the incident's class
        """A cursor; its transaction is committed at the end of the block."""
        try:
            with cls.pool.connection() as connection, connection.cursor(row_factory=dict_row) as cursor:
                yield cursor
        except Exception:
            log.exception("database execute error")

    @classmethod
    def close(cls) -> None:
        """Close the pool; never reached by a script that hangs."""
        cls.pool.close()
