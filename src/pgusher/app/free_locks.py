"""Which sessions hold advisory locks: asked when a plan is made, as no view of sessions tells it."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pgusher.collect.postgres.connect import Connection

_SQL = (
    "/* pgusher */ copy (select distinct l.pid from pg_catalog.pg_locks l "
    "where l.locktype = 'advisory' and l.granted and l.pid is not null) to stdout"
)


def read_locking(connection: Connection | None, timeout: float) -> frozenset[int] | None:
    """The server processes that hold an advisory lock, of any database; None where the server could not be asked.

    Source: PostgreSQL documentation, pg_locks: every role sees all rows of it, and the pid in each.
    """
    from pgusher.collect.postgres.connect import BrokenError, QueryError

    if connection is None:
        return None
    try:
        (rows,) = connection.run(_SQL, time.monotonic() + timeout)
        return frozenset(int(row) for row in rows)
    except (BrokenError, QueryError, ValueError):
        return None
