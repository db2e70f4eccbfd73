"""What the pools raise besides psycopg_pool's own errors."""

from __future__ import annotations

from typing import Any

import psycopg
from psycopg.pq import TransactionStatus
from psycopg_pool import PoolTimeout


class ConnectFailed(PoolTimeout):
    """No session could be opened, and trying again would give the same answer: the caller need not wait.

    It is a PoolTimeout, so that who handles a pool without sessions handles this too. `__cause__` is the driver's.
    """

    __module__ = "pgusher.client"


def not_committed(conn: psycopg.BaseConnection[Any]) -> psycopg.Error | None:
    """What the end of a block raises that was left in order, though its transaction cannot be committed; else None.

    COMMIT rolls back a transaction that had failed, and says so in a word that psycopg does not look at. On a session
    that is lost psycopg sends none, and says nothing. One that the block has closed itself, or that commits each
    statement, is no loss.
    """
    status = conn.pgconn.transaction_status
    if status == TransactionStatus.INERROR:
        return psycopg.errors.InFailedSqlTransaction(
            "nothing of the block was committed: a statement in it had failed, and its error was caught in the block"
        )
    if status == TransactionStatus.UNKNOWN and conn.broken and not conn.autocommit:
        return psycopg.OperationalError(
            "the session was lost within the block, and the error was caught there: what the block had not committed "
            "before is not committed"
        )
    return None
