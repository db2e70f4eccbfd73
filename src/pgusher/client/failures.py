"""What the pools raise besides psycopg_pool's own errors."""

from __future__ import annotations

import psycopg
from psycopg_pool import PoolTimeout


class ConnectFailed(PoolTimeout):
    """No session could be opened, and trying again would give the same answer: the caller need not wait.

    It is a PoolTimeout, so that who handles a pool without sessions handles this too. `__cause__` is the driver's.
    """

    __module__ = "pgusher.client"


def not_committed() -> psycopg.Error:
    """What the end of a block raises that was left in order, in a transaction that had failed before.

    COMMIT rolls such a transaction back and says so in a word that psycopg does not look at.
    """
    return psycopg.errors.InFailedSqlTransaction(
        "nothing of the block was committed: a statement in it had failed, and its error was caught in the block"
    )
