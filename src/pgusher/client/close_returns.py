"""Connections that come back to their pool when they are closed, also when their session has broken before.

psycopg's `close()` returns at once when the session is broken already (source: Connection.close in psycopg 3.2 and
3.3), so with `close_returns` such a loan would never end, and its slot would be lost for as long as somebody remembers
the connection.
"""

from __future__ import annotations

from functools import cache
from typing import Any, TypeVar, cast, get_origin

import psycopg

from pgusher.client.loans import seat_of

T = TypeVar("T")


def returning(cls: T) -> T:
    """The connection class, with a `close()` that ends the loan."""
    return cast("T", _returning(cls))


@cache
def _returning(cls: Any) -> Any:
    origin: Any = get_origin(cls) or cls

    def close(self: Any) -> None:
        if _lent_and_broken(self):
            self._pool.putconn(self)
        else:
            origin.close(self)

    async def aclose(self: Any) -> None:
        if _lent_and_broken(self):
            await self._pool.putconn(self)
        else:
            await origin.close(self)

    own = aclose if issubclass(origin, psycopg.AsyncConnection) else close
    own.__name__ = "close"
    return type(origin.__name__, (origin,), {"close": own, "__module__": origin.__module__, "__doc__": origin.__doc__})


def _lent_and_broken(conn: Any) -> bool:
    seat = seat_of(conn)
    return bool(conn.closed and getattr(conn, "_pool", None) is not None and seat is not None and seat.since)
