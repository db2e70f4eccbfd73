"""What the pools raise besides psycopg_pool's own errors."""

from __future__ import annotations

from psycopg_pool import PoolTimeout


class ConnectFailed(PoolTimeout):
    """No session could be opened, and trying again would give the same answer: the caller need not wait.

    It is a PoolTimeout, so that who handles a pool without sessions handles this too. `__cause__` is the driver's.
    """

    __module__ = "pgusher.client"
