"""PgBouncer as a holder of slots: what its configuration lets it open.

It has a pool for each pair of database and user, of pool_size (else default_pool_size) sessions and reserve_pool_size
more when clients wait; max_db_connections and max_user_connections stand above them, and [users] above these for some
users. Source: pgbouncer.org/config.html.
"""

from __future__ import annotations

from pgusher.model.values import dataclass

DEFAULT_POOL_SIZE = 20


@dataclass(frozen=True, slots=True)
class PoolerDatabase:
    """One line of [databases]."""

    name: str
    """As clients name it; "*" for all that are not listed."""
    host: str | None
    """None for the unix socket."""
    port: int
    dbname: str | None
    """On the server; None for the same name."""
    user: str | None = None
    """The user by which it logs in, where that is forced: then there is one pool for all clients."""
    pool_size: int | None = None
    reserve: int | None = None
    most: int | None = None
    """max_db_connections; 0 for no limit."""
    line: int = 0


@dataclass(frozen=True, slots=True)
class PoolerUser:
    """One line of [users]: what stands above the database's own and the general settings for this user."""

    name: str
    pool_size: int | None = None
    reserve: int | None = None
    most: int | None = None
    """max_user_connections, over all databases; 0 for that of [pgbouncer]."""
    line: int = 0


@dataclass(frozen=True, slots=True)
class Pooler:
    """One PgBouncer, by its configuration file."""

    pid: int
    file: str
    """As it sees it."""
    databases: tuple[PoolerDatabase, ...] = ()
    default_pool_size: int = DEFAULT_POOL_SIZE
    reserve: int = 0
    most: int = 0
    """max_db_connections; 0 for no limit."""
    most_user: int = 0
    """max_user_connections; 0 for no limit."""
    size_line: int = 0
    """The line of default_pool_size; 0 when it is not set."""
    users: tuple[PoolerUser, ...] = ()

    def user(self, name: str | None) -> PoolerUser | None:
        """What [users] says of this one; a later line counts before an earlier one."""
        return next((one for one in reversed(self.users) if one.name == name), None)
