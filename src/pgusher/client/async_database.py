"""`AsyncDatabase`: what `Database` is, for asyncio."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from types import TracebackType
from typing import TYPE_CHECKING, Any, Generic, Self, TypeVar, overload

from psycopg import AsyncConnection, AsyncCursor
from psycopg.pq import TransactionStatus
from psycopg.rows import DictRow, RowFactory

from pgusher.client import registry
from pgusher.client.blocks import ENTERED, NOT_ENTERED, Block, Blocks, paired
from pgusher.client.registry import none_to_leave, one_by_hand

if TYPE_CHECKING:  # the rest is loaded when it is needed
    from psycopg.abc import Params
    from psycopg.abc import QueryNoTemplate as Query  # only from 3.3 on

    from pgusher.client.async_pool import AsyncPool
    from pgusher.client.budget import Budget
    from pgusher.client.limits import Limits

IDLE, INERROR, UNKNOWN = TransactionStatus.IDLE, TransactionStatus.INERROR, TransactionStatus.UNKNOWN

Row = TypeVar("Row")


class AsyncDatabase:
    """A database of this process, by its name or its connection string, for asyncio.

        db = AsyncDatabase("orders")
        async with db.cursor() as cur:
            await cur.execute("select * from parts where id = %s", (7,))
            rows = await cur.fetchall()

    As `Database`, with the same options and errors. All objects of one database share one pool in each event loop; a
    loop that has ended takes its pool with it.
    """

    def __init__(  # noqa: PLR0913  # all but the first by name
        self,
        name_or_dsn: str = "",
        *,
        min_size: int | None = None,
        max_size: int | None = None,
        budget: Budget | None = None,
        timeout: float | None = None,
        max_idle: float | None = None,
        service: str | None = None,
        limits: Limits | None = None,
        long_loan: float | None = None,
        configure: Callable[[AsyncConnection[Any]], Awaitable[None]] | None = None,
        **options: Any,
    ) -> None:
        """What is not given is as whoever asked before has said, or the default (docs/database.md).

        `min_size` (0) and `max_size` (10): sessions of this process. `budget`: what all processes may have together.
        `timeout` (30 s): how long a caller waits for a session. `max_idle` (60 s): what was not needed for so long is
        given back. `service`: the name that the sessions carry. `limits`: how sessions limit themselves. `long_loan`
        (60 s): a loan as old is told in the log. `configure` and `options`: as in `pgusher.AsyncPool`.

        Raises DatabaseError when the string cannot be read, or the options contradict earlier ones.
        """
        given = {
            "min_size": min_size,
            "max_size": max_size,
            "budget": budget,
            "timeout": timeout,
            "max_idle": max_idle,
            "service": service,
            "limits": limits,
            "long_loan": long_loan,
            "configure": configure,
            **options,
        }
        self._entry = registry.entry(name_or_dsn, {key: value for key, value in given.items() if value is not None})
        self._entered: Blocks[AsyncCursorLoan[DictRow]] = Blocks()

    def __repr__(self) -> str:
        return f"<AsyncDatabase {self.name!r}>"  # without the connection string, which may hold a password

    @property
    def name(self) -> str:
        """The name in logs, errors and metrics."""
        return self._entry.name

    async def pool(self) -> AsyncPool[AsyncConnection[DictRow]]:
        """The pool of the running event loop, open; made if need be."""
        return await self._entry.opened_here()

    # -- blocks ----------------------------------------------------------------------------------------------------

    def connection(self, timeout: float | None = None) -> AbstractAsyncContextManager[AsyncConnection[DictRow]]:
        """`async with db.connection() as conn:` a session for the block."""
        return AsyncConnectionLoan(self._entry, timeout)

    def transaction(self, timeout: float | None = None) -> AbstractAsyncContextManager[AsyncConnection[DictRow]]:
        """`async with db.transaction() as conn:` the same, in a transaction that begins at once."""
        return AsyncTransactionLoan(self._entry, timeout)

    @overload
    def cursor(self, *, timeout: float | None = None) -> AbstractAsyncContextManager[AsyncCursor[DictRow]]: ...
    @overload
    def cursor(
        self, *, row_factory: RowFactory[Row], timeout: float | None = None
    ) -> AbstractAsyncContextManager[AsyncCursor[Row]]: ...
    def cursor(self, *, row_factory: RowFactory[Any] | None = None, timeout: float | None = None) -> Any:
        """`async with db.cursor() as cur:` a cursor on a session of its own for the block."""
        return AsyncCursorLoan(self._entry, row_factory, timeout)

    async def _enter(self, *, block: Block[AsyncCursorLoan[DictRow]]) -> AsyncCursor[DictRow]:
        """`async with AsyncDatabase("orders") as cur:` is `async with db.cursor() as cur:`."""
        if not self._entered.may_begin(block):
            raise one_by_hand(self.name, "async with db.cursor() as cur")
        loan: AsyncCursorLoan[DictRow] | None = None
        try:
            made: AsyncCursorLoan[DictRow] = AsyncCursorLoan(self._entry, None, None)
            cursor = await made.__aenter__()
            loan = made
        finally:
            self._entered.begun(block, loan)
        return cursor

    async def _exit(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
        *,
        block: Block[AsyncCursorLoan[DictRow]],
    ) -> None:
        """The end of that block: committed, or rolled back after an exception."""
        loan = self._entered.left(block)
        if loan is None:
            raise none_to_leave(self.name)
        await loan.__aexit__(kind, error, at)

    if TYPE_CHECKING:

        async def __aenter__(self) -> AsyncCursor[DictRow]: ...
        async def __aexit__(
            self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
        ) -> None: ...

    else:
        __aenter__, __aexit__ = paired(_enter, _exit)

    # -- statements ------------------------------------------------------------------------------------------------

    @overload
    async def fetch_all(
        self, query: Query, params: Params | None = None, *, timeout: float | None = None
    ) -> list[DictRow]: ...
    @overload
    async def fetch_all(
        self, query: Query, params: Params | None = None, *, row_factory: RowFactory[Row], timeout: float | None = None
    ) -> list[Row]: ...
    async def fetch_all(
        self,
        query: Query,
        params: Params | None = None,
        *,
        row_factory: RowFactory[Any] | None = None,
        timeout: float | None = None,
    ) -> list[Any]:
        """All rows of one statement. The session is borrowed for it alone, and committed by the server."""
        async with AsyncStatementLoan(self._entry, row_factory, timeout) as cursor:
            return await (await cursor.execute(query, params)).fetchall()

    @overload
    async def fetch_one(
        self, query: Query, params: Params | None = None, *, timeout: float | None = None
    ) -> DictRow | None: ...
    @overload
    async def fetch_one(
        self, query: Query, params: Params | None = None, *, row_factory: RowFactory[Row], timeout: float | None = None
    ) -> Row | None: ...
    async def fetch_one(
        self,
        query: Query,
        params: Params | None = None,
        *,
        row_factory: RowFactory[Any] | None = None,
        timeout: float | None = None,
    ) -> Any:
        """The first row of one statement, None when there is none."""
        async with AsyncStatementLoan(self._entry, row_factory, timeout) as cursor:
            return await (await cursor.execute(query, params)).fetchone()

    async def execute(self, query: Query, params: Params | None = None, *, timeout: float | None = None) -> int:
        """Run one statement; how many rows it was about, -1 when the server does not tell."""
        loan: AsyncStatementLoan[Any] = AsyncStatementLoan(self._entry, None, timeout)
        async with loan as cursor:
            return (await cursor.execute(query, params)).rowcount

    # -- the pool --------------------------------------------------------------------------------------------------

    async def wait(self, timeout: float = 30.0) -> Self:
        """Wait until the `min_size` sessions are there, one at least. Raises PoolTimeout with the reason."""
        pool = await self._entry.opened_here()
        await pool.wait(timeout)
        if not pool.min_size:
            async with pool.connection(timeout):
                pass
        return self

    def stats(self) -> dict[str, int]:
        """The figures of this loop's pool, see `AsyncPool.get_stats`; without a pool there are none.

        A thread without a loop, as a plain function of FastAPI has, is told those of the only pool.
        """
        pool = self._entry.here()
        return pool.get_stats() if pool is not None else {}

    def metrics(self) -> str:
        """The same as Prometheus reads them. Those of all databases of the process: `pgusher.metrics()`."""
        from pgusher.client.exposition import exposition

        return exposition([(self.name, self.stats())])

    async def close(self, timeout: float = 5.0) -> None:
        """Close the pool of this event loop. The next use opens another."""
        pool = self._entry.forget_here()
        if pool is not None:
            await pool.close(timeout)


class AsyncCursorLoan(Generic[Row]):
    """A session and a cursor on it for an `async with` block."""

    __slots__ = ("_cursor", "_entry", "_factory", "_lending", "_timeout")

    def __init__(self, entry: registry.Entry, factory: RowFactory[Row] | None, timeout: float | None) -> None:
        self._entry = entry
        self._factory = factory
        self._timeout = timeout
        self._cursor: AsyncCursor[Row] | None = None

    async def __aenter__(self) -> AsyncCursor[Row]:
        if self._cursor is not None:
            raise RuntimeError(ENTERED)
        self._lending = lending = (await self._entry.opened_here()).connection(self._timeout)
        conn = await lending.__aenter__()
        try:
            await self._begin(conn)
            cursor = conn.cursor() if self._factory is None else conn.cursor(row_factory=self._factory)
            self._cursor = cursor
        except BaseException as error:
            await lending.__aexit__(type(error), error, error.__traceback__)
            raise
        return cursor  # type: ignore[no-any-return]  # of a connection whose rows are anything

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        cursor, self._cursor = self._cursor, None
        try:
            if cursor is not None:
                await cursor.close()
                await self._end(cursor.connection)
        except BaseException as failed:
            await self._lending.__aexit__(type(failed), failed, failed.__traceback__)
            raise
        await self._lending.__aexit__(kind, error, at)

    async def _begin(self, conn: AsyncConnection[Any]) -> None:
        """Before the cursor is made."""

    async def _end(self, conn: AsyncConnection[Any]) -> None:
        """After it was closed."""


class AsyncStatementLoan(AsyncCursorLoan[Row]):
    """The same for one statement: the server commits it by itself, which saves two of three round trips."""

    __slots__ = ("_was",)

    async def _begin(self, conn: AsyncConnection[Any]) -> None:
        # Without a BEGIN of its own psycopg would leave out what `configure` has set for transactions.
        told = (conn.read_only, conn.isolation_level, conn.deferrable) != (None, None, None)
        self._was = conn.autocommit or told
        if not self._was:
            await conn.set_autocommit(True)

    async def _end(self, conn: AsyncConnection[Any]) -> None:
        # In any other state the session is rolled back or dropped, and the setting with what it was about.
        if not self._was:
            if conn.pgconn.transaction_status != IDLE and not conn.closed:
                await conn.rollback()
            if not conn.closed:
                await conn.set_autocommit(False)


class AsyncConnectionLoan:
    """A session for an `async with` block, of the pool of the loop that it is entered in."""

    __slots__ = ("_entered", "_entry", "_lending", "_timeout")

    def __init__(self, entry: registry.Entry, timeout: float | None) -> None:
        self._entry = entry
        self._timeout = timeout
        self._entered = False

    async def __aenter__(self) -> AsyncConnection[DictRow]:
        if self._entered:
            raise RuntimeError(ENTERED)
        self._entered = True
        try:
            self._lending = (await self._entry.opened_here()).connection(self._timeout)
            return await self._lending.__aenter__()  # type: ignore[no-any-return]  # of a pool whose rows are dictionaries
        except BaseException:
            self._entered = False
            raise

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        if not self._entered:
            raise RuntimeError(NOT_ENTERED)
        self._entered = False
        await self._lending.__aexit__(kind, error, at)


class AsyncTransactionLoan:
    """A session and a transaction on it for an `async with` block."""

    __slots__ = ("_conn", "_lending", "_transaction")

    def __init__(self, entry: registry.Entry, timeout: float | None) -> None:
        self._lending = AsyncConnectionLoan(entry, timeout)

    async def __aenter__(self) -> AsyncConnection[DictRow]:
        self._conn = conn = await self._lending.__aenter__()
        try:
            self._transaction = conn.transaction()
            await self._transaction.__aenter__()
        except BaseException as error:
            await self._lending.__aexit__(type(error), error, error.__traceback__)
            raise
        return conn

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> bool | None:
        aborted: BaseException | None = None
        if kind is None and self._conn.pgconn.transaction_status in (INERROR, UNKNOWN):
            from pgusher.client.failures import not_committed  # late: it is rare

            if (aborted := not_committed(self._conn)) is not None:
                kind, error = type(aborted), aborted
        try:
            # psycopg.Rollback ends here, and with it the reason to roll back.
            swallowed: bool | None = await self._transaction.__aexit__(kind, error, at)
        except BaseException as failed:
            await self._lending.__aexit__(type(failed), failed, failed.__traceback__)
            raise
        if swallowed:
            kind = error = at = None
        await self._lending.__aexit__(kind, error, at)
        if aborted is not None:
            raise aborted
        return swallowed
