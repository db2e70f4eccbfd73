"""The loan of a `with` block."""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import AbstractContextManager, ContextDecorator
from functools import partial
from types import TracebackType
from typing import Any, Generic

from psycopg_pool.abc import CT

from pgusher.client.blocks import ENTERED, NOT_ENTERED
from pgusher.client.core import IDLE
from pgusher.client.crew import TIMEKEEPER
from pgusher.client.failures import not_committed


class Lending(ContextDecorator, AbstractContextManager[CT], Generic[CT]):
    """What `Pool.connection()` gives: it borrows when it is entered, so it can also decorate a function."""

    __slots__ = ("_pool", "_timeout", "conn", "since")

    def __init__(self, pool: Any, timeout: float | None) -> None:
        self._pool = pool
        self._timeout = timeout
        self.conn: CT | None = None
        self.since = 0.0
        """When its loan began, which tells it from all other loans of that connection."""

    def _recreate_cm(self) -> Lending[CT]:
        return Lending(self._pool, self._timeout)

    def __enter__(self) -> CT:
        if self.conn is not None:
            raise RuntimeError(ENTERED)
        pool = self._pool
        try:
            if pool._lends_itself:  # noqa: SLF001  # our own
                conn = pool._lend_to(self, self._timeout, sys._getframe(1))  # noqa: SLF001  # as above
            else:
                self.conn = conn = pool.getconn(self._timeout)
                self.since = conn._pgusher_seat.since  # noqa: SLF001  # our own
        except BaseException:
            self.undo()
            raise
        return conn  # type: ignore[no-any-return]  # a connection of the pool's class

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        pool, conn = self._pool, self.conn
        if conn is None:
            raise RuntimeError(NOT_ENTERED)
        aborted: BaseException | None = None
        try:
            # With nothing to commit, the commit would only cost time. It looks at the same three things.
            if (
                kind is not None
                or not pool._plain  # noqa: SLF001  # our own
                or conn.pgconn.transaction_status != IDLE
                or conn._num_transactions  # noqa: SLF001  # as Connection.commit does
                or conn._tpc is not None  # noqa: SLF001  # as Connection.commit does
            ):
                if kind is None and pool.tells_aborted and (aborted := not_committed(conn)) is not None:
                    kind, error = type(aborted), aborted
                conn.__exit__(kind, error, at)
        finally:
            try:
                pool.putconn(conn)
            except BaseException:
                pool._end_loan(conn, self.since)  # noqa: SLF001  # our own
                raise
            finally:
                self.conn = None
        if aborted is not None:
            raise aborted

    def undo(self) -> None:
        """End it without its end having been reached: an exception came in between."""
        conn, self.conn = self.conn, None
        if conn is not None:
            self._pool._end_loan(conn, self.since)  # noqa: SLF001  # our own

    def __del__(self, finalizing: Callable[[], bool] = sys.is_finalizing) -> None:
        # Entered, never left, and forgotten. This may be the midst of anything: a helper gives it back.
        conn = getattr(self, "conn", None)  # its constructor may have been interrupted
        if conn is not None and not finalizing():  # no lock may be waited for then
            TIMEKEEPER.after(0.0, partial(self._pool._found, conn, self.since))  # noqa: SLF001  # our own
