"""The loan of an `async with` block."""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, AsyncContextDecorator
from functools import partial
from types import TracebackType
from typing import Any, Generic

from psycopg_pool.abc import ACT

from pgusher.client.blocks import ENTERED, NOT_ENTERED
from pgusher.client.core import IDLE
from pgusher.client.crew import TIMEKEEPER
from pgusher.client.failures import not_committed


class AsyncLending(AsyncContextDecorator, AbstractAsyncContextManager[ACT], Generic[ACT]):
    """What `AsyncPool.connection()` gives: it borrows when it is entered, so it can also decorate a function."""

    __slots__ = ("_conn", "_entered", "_pool", "_since", "_timeout")

    def __init__(self, pool: Any, timeout: float | None) -> None:
        self._pool = pool
        self._timeout = timeout
        self._conn: ACT | None = None
        self._entered = False
        self._since = 0.0

    def _recreate_cm(self) -> AsyncLending[ACT]:
        return AsyncLending(self._pool, self._timeout)

    async def __aenter__(self) -> ACT:
        if self._entered:
            raise RuntimeError(ENTERED)
        self._entered = True
        try:
            self._conn = conn = await self._pool.getconn(self._timeout)
            self._since = conn._pgusher_seat.since  # noqa: SLF001  # our own
        except BaseException:
            self._entered = False
            raise
        return conn  # type: ignore[no-any-return]  # a connection of the pool's class

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        pool, conn = self._pool, self._conn
        if conn is None:
            raise RuntimeError(NOT_ENTERED)
        aborted: BaseException | None = None
        try:
            # With nothing to commit, the commit would only cost time. It looks at the same three things.
            if (
                kind is not None
                or not pool._plain  # noqa: SLF001  # our own
                or conn.pgconn.transaction_status != IDLE
                or conn._num_transactions  # noqa: SLF001  # as AsyncConnection.commit does
                or conn._tpc is not None  # noqa: SLF001  # as AsyncConnection.commit does
            ):
                if kind is None and pool.tells_aborted and (aborted := not_committed(conn)) is not None:
                    kind, error = type(aborted), aborted
                await conn.__aexit__(kind, error, at)
        finally:
            self._conn = None
            self._entered = False
            await pool.putconn(conn)
        if aborted is not None:
            raise aborted

    def __del__(self, finalizing: Callable[[], bool] = sys.is_finalizing) -> None:
        # Entered, never left, and forgotten. This may be the midst of anything: the loop gives it back.
        conn = getattr(self, "_conn", None)  # its constructor may have been interrupted
        if conn is not None and not finalizing():  # no lock may be waited for then
            TIMEKEEPER.after(0.0, partial(self._pool._found, conn, self._since))  # noqa: SLF001  # our own
