"""The incident's kind of `Database` class, with its faults kept.

The pools hang on the class and are made without a lock; the context manager swallows every error and only logs it; and
closing is left to `atexit`, which does not run as long as the interpreter waits for a thread, or main for anybody.
"""

import atexit
import logging
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, ClassVar

from psycopg.rows import dict_row
from psycopg_pool import ConnectionPool
from truth import Truth

log = logging.getLogger("database")
truth = Truth(os.path.splitext(os.path.basename(sys.argv[0]))[0])

NAMES = ("shop", "mes", "report")


class Database:
    """`with Database("shop") as cursor:` on a pool of up to ten connections for each database."""

    pools: ClassVar[dict[str, Any]] = {}

    @classmethod
    def init(cls) -> None:
        """Open all pools, whichever is needed."""
        if cls.pools:
            return
        for name in NAMES:
            pool = ConnectionPool(f"dbname={name}", min_size=1, max_size=10, open=True, configure=truth.session)
            cls.pools[name] = pool
            pool.wait()
        atexit.register(cls.close)

    @contextmanager
    def __new__(cls, name: str) -> Iterator[Any]:  # type: ignore[misc]  # the trick of the incident's class
        """A cursor; its transaction is committed at the end of the block."""
        cls.init()
        try:
            with cls.pools[name].connection() as connection, connection.cursor(row_factory=dict_row) as cursor:
                yield cursor
        except Exception as error:  # noqa: BLE001  # one of the faults that are kept
            log.error(  # noqa: TRY400  # another: the traceback is lost
                "database execute error: %s", error
            )

    @classmethod
    def close(cls) -> None:
        """Close all pools."""
        for pool in cls.pools.values():
            pool.close()
