"""`AsyncPool`: psycopg_pool's AsyncConnectionPool with the same constructor, methods, hooks and errors."""

from __future__ import annotations

import asyncio
import logging
import sys
from collections.abc import Awaitable, Callable
from time import monotonic
from typing import Any, Generic, cast, get_origin

import psycopg
from psycopg_pool import AsyncConnectionPool, PoolTimeout
from psycopg_pool.abc import ACT
from psycopg_pool.pool_async import AddConnection, MaintenanceTask, StopWorker

from pgusher.client.alive import ended, entangled
from pgusher.client.async_care import AsyncCare, finish
from pgusher.client.async_lending import AsyncLending
from pgusher.client.close_returns import returning
from pgusher.client.core import IDLE, JUST_NOW, LONG_LOAN, UNKNOWN, cut_off
from pgusher.client.farewell import keep_socket, wait_until_gone_async
from pgusher.client.fork import cut_loose
from pgusher.client.gate import Gate
from pgusher.client.ledger_hook import Ledger
from pgusher.client.limits import Limits
from pgusher.client.loans import Seat, seat_of
from pgusher.client.reports import pool_logger
from pgusher.client.sqlstate import telling

_CONNECTION: Any = psycopg.AsyncConnection


class AsyncPool(AsyncCare, AsyncConnectionPool[ACT], Generic[ACT]):
    """A connection pool for asyncio: `psycopg_pool.AsyncConnectionPool` that says who holds, and loses nothing.

    What `pgusher.Pool` is for threads this is for tasks. It belongs to the event loop in which it was opened.
    """

    def __init__(
        self,
        conninfo: str | Callable[[], str] | Callable[[], Awaitable[str]] = "",
        *,
        service: str | None = None,
        gate: Gate | None = None,
        ledger: Ledger | None = None,
        limits: Limits | None = None,
        long_loan: float = LONG_LOAN,
        give_all_back: bool = False,
        connection_class: type[ACT] = _CONNECTION,
        **options: Any,
    ) -> None:
        """What psycopg_pool's constructor takes, and what that of `pgusher.Pool` takes."""
        self._set_up(
            conninfo,
            service=service,
            gate=gate,
            ledger=ledger,
            limits=limits,
            long_loan=long_loan,
            give_all_back=give_all_back,
        )
        self._loop: asyncio.AbstractEventLoop | None = None
        self._child = False
        known = psycopg.AsyncConnection
        kind = get_origin(connection_class) or connection_class
        self._plain = kind.__aexit__ is known.__aexit__ and kind.commit is known.commit
        if options.get("close_returns"):
            connection_class = returning(connection_class)
        super().__init__(cast("Any", conninfo), connection_class=telling(connection_class), **options)

    def _open(self) -> None:
        super()._open()
        self._loop = asyncio.get_running_loop()
        self._book()
        if self._foreign_gate and not self._watched:
            self._watched = True
            self._watch_in(0.1)

    # -- borrowing -------------------------------------------------------------------------------------------------

    def connection(self, timeout: float | None = None) -> AsyncLending[ACT]:  # type: ignore[override]  # is one, and faster
        """A loan for an `async with` block: committed and given back at its end, rolled back after an exception."""
        return AsyncLending(self, timeout)

    async def getconn(self, timeout: float | None = None) -> ACT:  # noqa: ASYNC109  # as psycopg_pool has it
        """Borrow a connection: at once if one is idle, else wait in line for at most `timeout` seconds.

        Raises PoolTimeout, which names the borrowers; ConnectFailed, a PoolTimeout, when no connect can work;
        TooManyRequests and PoolClosed as psycopg_pool does.
        """
        if self._child:
            await self._reopen()
        plain = not (self._closed or self._check or self._open_implicit or pool_logger.isEnabledFor(logging.INFO))
        # Between here and the loan nothing is awaited, so that the lock is not needed while nobody has it.
        if plain and (timeout is None or timeout > 0.0) and not self._lock.locked():
            while self._pool:
                conn = self._pool.popleft()
                self._nconns_min = min(self._nconns_min, len(self._pool))
                now = monotonic()
                seat: Seat = conn._pgusher_seat  # type: ignore[attr-defined]  # noqa: SLF001  # our own
                if now - seat.returned < JUST_NOW or not ended(conn):
                    self._stats[self._REQUESTS_NUM] += 1
                    self._waits.at_once += 1
                    conn._pool = self  # noqa: SLF001  # as psycopg_pool does
                    self._lent(seat, sys._getframe(1), asyncio.current_task(), now)  # noqa: SLF001  # who borrows
                    return conn
                self._drop_idle(conn)
        return await self._wait_for_one(self.timeout if timeout is None else timeout)

    async def _wait_for_one(self, timeout: float) -> ACT:  # noqa: ASYNC109  # as psycopg_pool has it
        began = monotonic()
        frame = sys._getframe(1)  # noqa: SLF001  # who borrows
        pool_logger.info("connection requested from %r", self.name)
        self._stats[self._REQUESTS_NUM] += 1
        self._check_open_getconn()
        try:
            conn = await self._getconn_with_check_loop(began + timeout)
        except PoolTimeout as error:
            if error.__cause__ is not None:  # no connect can work
                raise
            self._prune()
            self._stats["requests_timeouts"] += 1
            raise self._timed_out(timeout) from self._last_error
        except asyncio.CancelledError:
            self._prune()
            raise
        finally:
            self._waits.add(monotonic() - began)
        seat: Seat = conn._pgusher_seat  # type: ignore[attr-defined]  # noqa: SLF001  # our own
        self._lent(seat, frame, asyncio.current_task(), monotonic())
        return conn

    async def putconn(self, conn: ACT) -> None:
        """Give a connection back. Raises ValueError for one that is not lent by this pool."""
        seat = seat_of(conn)
        if seat is None or getattr(conn, "_pool", None) is not self:
            self._check_pool_putconn(conn)
            await super().putconn(conn)  # a connection that something else has put under our care
            return
        if seat.over and seat.since == 0.0:  # a fork lies between: the session is the parent's
            return
        self._back(seat)
        if (
            not (self._closed or self._reset or self._gate.pressed)
            and conn.pgconn.transaction_status == IDLE
            and not entangled(conn)
            and conn._created_at > self._drained_at  # noqa: SLF001  # as psycopg_pool does
            and conn._expire_at > seat.returned  # noqa: SLF001  # as psycopg_pool does
            and not pool_logger.isEnabledFor(logging.INFO)
        ):
            conn._pool = None  # noqa: SLF001  # as psycopg_pool does
            if not (self._waiting or self._closed or self._lock.locked()) and self._pool_full_event is None:
                self._pool.append(conn)
            else:
                await self._complete(self._add_to_pool(conn))
        else:
            await self._complete(super().putconn(conn))

    async def _putconn(self, conn: ACT, from_getconn: bool) -> None:
        await self._complete(super()._putconn(conn, from_getconn))

    def run_task(self, task: MaintenanceTask) -> None:
        """Run a maintenance task in a worker."""
        self._note_task(task)
        super().run_task(task)

    async def schedule_task(self, task: MaintenanceTask, delay: float) -> None:
        """Run a maintenance task in a worker, later."""
        self._note_task(task)
        await super().schedule_task(task, delay)

    async def _get_ready_connection(self, timeout: float | None) -> ACT | None:  # noqa: ASYNC109  # as above
        while True:
            conn = await super()._get_ready_connection(timeout)
            if conn is None:
                self._heal_soon()
                wrong = self._wrong() if not self._out else None
                if wrong is not None:
                    self._stats[self._REQUESTS_ERRORS] += 1
                    raise wrong
                return None
            if not ended(conn):
                return conn
            self._drop_idle(conn)

    def _drop_idle(self, conn: ACT) -> None:
        """An idle connection has ended: let it go, and what ended with it."""
        self._dropped(conn)
        finish([conn, *self._generation(everything=False)])
        self._grow_if_needed()

    async def _check_connection(self, conn: ACT) -> None:
        try:
            await super()._check_connection(conn)
        except Exception as error:
            if conn.broken:
                self._drop_generation(cut_off(str(error)) or not ended(conn))
            raise

    def _drop_generation(self, everything: bool, told: bool = False) -> None:
        lost = self._generation(everything)
        self._grow_if_needed()
        for conn in lost if told else ():
            pool_logger.warning("discarding broken connection: %s", conn)
        finish(lost)

    # -- connecting ------------------------------------------------------------------------------------------------

    async def wait(self, timeout: float = 30.0) -> None:  # noqa: ASYNC109  # as psycopg_pool has it
        """Wait until there are `min_size` sessions. Raises PoolTimeout, at once when no connect can work."""
        if self._child:
            await self._reopen()
        self._init_error = None
        try:
            await super().wait(timeout)
        except PoolTimeout as error:
            if self._last_error is None:
                raise
            raise PoolTimeout(f"{error}: {self._last_error}") from self._last_error
        failed = self._init_failed()
        if failed is not None:
            await self.close()
            raise failed

    async def _resolve_conninfo(self) -> str:
        self._conninfo_seen = found = await super()._resolve_conninfo()
        return found

    async def _resolve_kwargs(self) -> dict[str, Any]:
        return self._parameters(await super()._resolve_kwargs())

    async def _connect(self, timeout: float | None = None) -> ACT:  # noqa: ASYNC109  # as psycopg_pool has it
        while True:
            asked = self._self_limits.asked()
            try:
                conn = await super()._connect(timeout)
            except psycopg.OperationalError as error:
                if not self._self_limits.learn(str(error), asked):
                    raise
            else:
                self._seated(conn)
                return conn

    @classmethod
    async def worker(cls, q: asyncio.Queue[MaintenanceTask]) -> None:
        """As psycopg_pool's, but it can be cancelled: `asyncio.run` would wait for ever for one that goes on."""
        while not isinstance(task := await q.get(), StopWorker):
            try:
                await task.run()
            except (Exception, asyncio.CancelledError) as error:
                me = asyncio.current_task()
                if me is not None and me.cancelling():
                    raise
                pool_logger.warning("task run %s failed: %s: %s", task, type(error).__name__, error)
            del task  # it would seem to be under way while the next is waited for

    async def _add_connection(self, attempt: Any, growing: bool = False) -> None:  # noqa: ARG002  # as psycopg_pool has it
        delay = self._ask(growing)
        if delay is None:
            return
        if delay > 0.0:
            await self.schedule_task(AddConnection(self, growing=True), delay)
            return
        try:
            conn = await self._connect()
        except Exception as error:  # noqa: BLE001  # as psycopg_pool does: whatever a hook may raise
            self._log_failure(error)
            await self._after_failure(error, growing)
            return
        except BaseException:  # cancelled: the loop ends
            self._gate.failed(monotonic())
            raise
        self._worked()
        pool_logger.info("adding new connection to the pool")
        await self._add_to_pool(conn)
        if growing:
            if self._nconns < self._min_size or (self._nconns < self._max_size and self._waiting):
                self._nconns += 1
                self.run_task(AddConnection(self, growing=True))
            else:
                self._growing = False

    async def _after_failure(self, error: BaseException, growing: bool) -> None:
        delay, gave_up, losers = self._failed(error, growing)
        again = self._refill_in(gave_up) if delay is None else None
        for position in losers:
            await position.fail(self._connect_failed(error))
        if delay is not None:
            await self.schedule_task(AddConnection(self, growing=True), delay)
        if again is not None:
            await self.schedule_task(Refill(self), again)
        if gave_up:
            await self.reconnect_failed()

    def _refill(self) -> None:
        self._refilling = False
        self._grow_if_needed()

    # -- giving back -----------------------------------------------------------------------------------------------

    async def _return_connection(self, conn: ACT, from_getconn: bool) -> None:
        seat = seat_of(conn)
        if self._gate.pressed and seat is not None and self._gate.give_back(monotonic(), seat.made):
            await self._reset_connection(conn)
            await self._give_slot_back(conn)
            return
        text = conn.pgconn.error_message.decode("utf-8", "replace") if conn.broken else ""
        await super()._return_connection(conn, from_getconn)
        if conn.pgconn.transaction_status == UNKNOWN:
            self._ended(conn)
            if text:
                self._drop_generation(cut_off(text))

    async def _reset_connection(self, conn: ACT) -> None:
        await super()._reset_connection(conn)
        if conn.pgconn.transaction_status == IDLE and entangled(conn):
            pool_logger.warning("closing returned connection, a block on it was interrupted: %s", conn)
            await self._close_connection(conn)

    async def _close_connection(self, conn: ACT) -> None:
        fd = keep_socket(conn) if self._foreign_gate else -1
        await super()._close_connection(conn)
        await wait_until_gone_async(fd)  # somebody else may have the slot next, and would be refused a moment earlier
        self._ended(conn)

    async def check(self) -> None:
        """Verify the idle connections: replace those that are broken. One that does not answer condemns them all."""
        self._drop_generation(everything=False, told=True)
        await super().check()

    async def _shrink_pool(self) -> None:
        if not self._give_all_back:
            await super()._shrink_pool()
            return
        spare = min(self._nconns_min, self._nconns - self._min_size, len(self._pool))
        unneeded = [self._pool.popleft() for _ in range(max(0, spare))]
        self._nconns -= len(unneeded)
        self._nconns_min = len(self._pool)
        for conn in unneeded:
            await self._close_connection(conn)

    async def _signal_stop_worker(self) -> Any:
        self._unbook()
        return await super()._signal_stop_worker()

    # -- the end, and other processes ------------------------------------------------------------------------------

    def _forked(self) -> None:
        """In the child of a fork: nothing of the parent's is used or ended; its first loan opens the pool again."""
        cut_loose([conn.pgconn for conn in self._forget()])
        if not self._closed:
            self._child = True
        self._workers = []
        self._sched_runner = None
        self._loop = None
        if hasattr(self, "_lock"):
            del self._lock  # the parent's loop has it

    async def _reopen(self) -> None:
        self._child = False
        self._closed, self._opened = True, False
        self._nconns = self._min_size
        await self.open()

    def _at_exit(self) -> None:
        finish(list(self._pool))


class Refill(MaintenanceTask):
    """After a failure for good: look whether it still is one, for the sake of `min_size`."""

    async def _run(self, pool: Any) -> None:
        pool._refill()  # noqa: SLF001  # a method of the pool's own
