"""A caller's place in the line of a pool: what psycopg_pool's WaitingClient is, and no signal breaks it.

There a Condition is used, whose lock a signal can leave taken for ever: whoever would hand over a session then waits
for it with the lock of the pool in hand. Here each step is a single one of the interpreter.
"""

from __future__ import annotations

import threading
from contextlib import suppress
from typing import Any

from psycopg_pool import PoolTimeout


class Position:
    """Waits for one session, or one error: whichever comes first."""

    __slots__ = ("_given", "_wake")

    def __init__(self) -> None:
        self._given: dict[int, Any] = {}
        self._wake = threading.Lock()
        self._wake.acquire()

    @property
    def conn(self) -> Any:
        """The session that it got."""
        given = self._given.get(0)
        return None if isinstance(given, BaseException) else given

    @property
    def error(self) -> BaseException | None:
        """The error that it got instead: nobody waits here any more."""
        given = self._given.get(0)
        return given if isinstance(given, BaseException) else None

    def wait(self, timeout: float) -> Any:
        """The session. Raises what it was failed with, PoolTimeout after `timeout` seconds."""
        if not self._given:
            self._wake.acquire(timeout=min(max(0.0, timeout), threading.TIMEOUT_MAX))
            if not self._given:
                self._given.setdefault(0, PoolTimeout(f"couldn't get a connection after {timeout:.2f} sec"))
        error = self.error
        if error is not None:
            raise error
        return self.conn

    def set(self, conn: Any) -> bool:
        """Give it a session; whether it takes it."""
        return self._settle(conn)

    def fail(self, error: BaseException) -> bool:
        """Give it an error; whether it takes it."""
        return self._settle(error)

    def _settle(self, what: Any) -> bool:
        try:
            return self._given.setdefault(0, what) is what
        finally:
            self.wake()

    def wake(self) -> None:
        """Have it look at what it was given."""
        with suppress(RuntimeError):  # it has been woken already
            self._wake.release()
