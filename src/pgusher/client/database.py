"""`Database`: what a script or back end uses. A pool below it, and nothing to remember."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from types import TracebackType
from typing import TYPE_CHECKING, Any, Generic, Literal, Self, TypeVar, overload

from psycopg import Connection, Cursor
from psycopg.pq import TransactionStatus
from psycopg.rows import DictRow, RowFactory

from pgusher.client import registry
from pgusher.client.blocks import ENTERED, Block, Blocks, paired
from pgusher.client.registry import none_to_leave, one_by_hand

if TYPE_CHECKING:  # the rest is loaded when it is needed
    from psycopg.abc import Params
    from psycopg.abc import QueryNoTemplate as Query  # only from 3.3 on

    from pgusher.client.budget import Budget
    from pgusher.client.limits import Limits
    from pgusher.client.pool import Pool

IDLE, INERROR, UNKNOWN = TransactionStatus.IDLE, TransactionStatus.INERROR, TransactionStatus.UNKNOWN

Row = TypeVar("Row")


class Database:
    """A database of this process, by its name or its connection string.

        db = Database("orders")
        with db.cursor() as cur:
            rows = cur.execute("select * from parts where id = %s", (7,)).fetchall()

    All objects of one database share one pool, whichever thread makes them; it opens its first session when one is
    needed, and gives back what is not needed. A block is committed at its end, and rolled back after an exception,
    which goes on to the caller. Rows are dictionaries unless a row factory is given.

    What asks for a session may raise PoolTimeout (none within `timeout`), ConnectFailed, a PoolTimeout too (no connect
    can work: a wrong password), TooManyRequests and PoolClosed, all of psycopg_pool; what runs a statement raises
    psycopg's errors. Nothing is swallowed.
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
        configure: Callable[[Connection[Any]], None] | None = None,
        on_thread_error: Literal["tell", "exit"] | None = None,
        **options: Any,
    ) -> None:
        """What is not given is as whoever asked before has said, or the default (docs/database.md).

        `min_size` (0) and `max_size` (10): sessions of this process. `budget`: what all processes may have together.
        `timeout` (30 s): how long a caller waits for a session. `max_idle` (60 s): what was not needed for so long is
        given back. `service`: the name that the sessions carry. `limits`: how sessions limit themselves. `long_loan`
        (60 s): a loan as old is told in the log. `on_thread_error="exit"`: the death of a thread ends the run, whoever
        else runs or waits in the process. `configure` and `options`: as in `pgusher.Pool`.

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
        if on_thread_error is not None:
            from pgusher.client import threads

            threads.on_thread_error(on_thread_error)
        self._entered: Blocks[CursorLoan[DictRow]] = Blocks()

    def __repr__(self) -> str:
        return f"<Database {self.name!r}>"  # without the connection string, which may hold a password

    @property
    def name(self) -> str:
        """The name in logs, errors and metrics."""
        return self._entry.name

    @property
    def pool(self) -> Pool[Connection[DictRow]]:
        """The pool, open; made if need be."""
        return self._entry.opened()

    # -- blocks ----------------------------------------------------------------------------------------------------

    def connection(self, timeout: float | None = None) -> AbstractContextManager[Connection[DictRow]]:
        """`with db.connection() as conn:` a session for the block."""
        return self._entry.opened().connection(timeout)

    def transaction(self, timeout: float | None = None) -> AbstractContextManager[Connection[DictRow]]:
        """`with db.transaction() as conn:` the same, in a transaction that begins at once."""
        return TransactionLoan(self._entry.opened(), timeout)

    @overload
    def cursor(self, *, timeout: float | None = None) -> AbstractContextManager[Cursor[DictRow]]: ...
    @overload
    def cursor(
        self, *, row_factory: RowFactory[Row], timeout: float | None = None
    ) -> AbstractContextManager[Cursor[Row]]: ...
    def cursor(self, *, row_factory: RowFactory[Any] | None = None, timeout: float | None = None) -> Any:
        """`with db.cursor() as cur:` a cursor on a session of its own for the block."""
        return CursorLoan(self._entry.opened(), row_factory, timeout)

    def _enter(self, *, block: Block[CursorLoan[DictRow]]) -> Cursor[DictRow]:
        """`with Database("orders") as cur:` is `with db.cursor() as cur:`."""
        if not self._entered.may_begin(block):
            raise one_by_hand(self.name, "with db.cursor() as cur")
        loan: CursorLoan[DictRow] | None = None
        try:
            loan = CursorLoan(self._entry.opened(), None, None)
            cursor = loan.__enter__()
            self._entered.begun(block, loan)
        except BaseException as error:
            self._entered.begun(block, None)
            if loan is not None:
                loan.undo(error)
            raise
        return cursor

    def _exit(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
        *,
        block: Block[CursorLoan[DictRow]],
    ) -> None:
        """The end of that block: committed, or rolled back after an exception."""
        loan = block.loan
        try:
            loan = self._entered.left(block)
            if loan is None:
                raise none_to_leave(self.name)  # noqa: TRY301 - the section is one
            loan.__exit__(kind, error, at)
        except BaseException as failed:
            if loan is not None:
                loan.undo(failed)
            raise

    if TYPE_CHECKING:

        def __enter__(self) -> Cursor[DictRow]: ...
        def __exit__(
            self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
        ) -> None: ...

    else:
        __enter__, __exit__ = paired(_enter, _exit)

    # -- statements ------------------------------------------------------------------------------------------------

    @overload
    def fetch_all(
        self, query: Query, params: Params | None = None, *, timeout: float | None = None
    ) -> list[DictRow]: ...
    @overload
    def fetch_all(
        self, query: Query, params: Params | None = None, *, row_factory: RowFactory[Row], timeout: float | None = None
    ) -> list[Row]: ...
    def fetch_all(
        self,
        query: Query,
        params: Params | None = None,
        *,
        row_factory: RowFactory[Any] | None = None,
        timeout: float | None = None,
    ) -> list[Any]:
        """All rows of one statement. The session is borrowed for it alone, and committed by the server."""
        with StatementLoan(self._entry.opened(), row_factory, timeout) as cursor:
            return cursor.execute(query, params).fetchall()

    @overload
    def fetch_one(
        self, query: Query, params: Params | None = None, *, timeout: float | None = None
    ) -> DictRow | None: ...
    @overload
    def fetch_one(
        self, query: Query, params: Params | None = None, *, row_factory: RowFactory[Row], timeout: float | None = None
    ) -> Row | None: ...
    def fetch_one(
        self,
        query: Query,
        params: Params | None = None,
        *,
        row_factory: RowFactory[Any] | None = None,
        timeout: float | None = None,
    ) -> Any:
        """The first row of one statement, None when there is none."""
        with StatementLoan(self._entry.opened(), row_factory, timeout) as cursor:
            return cursor.execute(query, params).fetchone()

    def execute(self, query: Query, params: Params | None = None, *, timeout: float | None = None) -> int:
        """Run one statement; how many rows it was about, -1 when the server does not tell."""
        loan: StatementLoan[Any] = StatementLoan(self._entry.opened(), None, timeout)
        with loan as cursor:
            return cursor.execute(query, params).rowcount

    # -- the pool --------------------------------------------------------------------------------------------------

    def wait(self, timeout: float = 30.0) -> Self:
        """Wait until the `min_size` sessions are there, one at least. Raises PoolTimeout with the reason."""
        pool = self._entry.opened()
        pool.wait(timeout)
        if not pool.min_size:
            with pool.connection(timeout):
                pass
        return self

    def stats(self) -> dict[str, int]:
        """The pool's figures, see `Pool.get_stats`; without a pool there are none."""
        pool = self._entry.pool
        return pool.get_stats() if pool is not None else {}

    def metrics(self) -> str:
        """The same as Prometheus reads them. Those of all databases of the process: `pgusher.metrics()`."""
        from pgusher.client.exposition import exposition

        return exposition([(self.name, self.stats())])

    def close(self, timeout: float = 5.0) -> None:
        """Close the pool. Not needed at the end of a program. The next use opens another."""
        pool = self._entry.forget()
        if pool is not None:
            pool.close(timeout)


class CursorLoan(Generic[Row]):
    """A session and a cursor on it for a `with` block."""

    __slots__ = ("_cursor", "_factory", "_lending", "_pool", "_timeout")

    def __init__(self, pool: Pool[Any], factory: RowFactory[Row] | None, timeout: float | None) -> None:
        self._pool = pool
        self._factory = factory
        self._timeout = timeout
        self._cursor: Cursor[Row] | None = None
        self._lending: Any = None

    def __enter__(self) -> Cursor[Row]:
        if self._cursor is not None:
            raise RuntimeError(ENTERED)
        self._lending = None
        try:
            self._lending = lending = self._pool.connection(self._timeout)
            conn = lending.__enter__()
            self._begin(conn)
            cursor = conn.cursor() if self._factory is None else conn.cursor(row_factory=self._factory)
            self._cursor = cursor
        except BaseException as error:
            self.undo(error)
            raise
        return cursor  # type: ignore[no-any-return]  # of a connection whose rows are anything

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        cursor, self._cursor = self._cursor, None
        try:
            if cursor is not None:
                cursor.close()
                self._end(cursor.connection)
            if self._lending is not None:
                self._lending.__exit__(kind, error, at)
        except BaseException as failed:
            self.undo(failed)
            raise

    def undo(self, error: BaseException) -> None:
        """End it after an exception, unless it has ended."""
        self._cursor = None
        _leave(self._lending, error)

    def _begin(self, conn: Connection[Any]) -> None:
        """Before the cursor is made."""

    def _end(self, conn: Connection[Any]) -> None:
        """After it was closed."""


class StatementLoan(CursorLoan[Row]):
    """The same for one statement: the server commits it by itself, which saves two of three round trips."""

    __slots__ = ("_was",)

    def _begin(self, conn: Connection[Any]) -> None:
        # Without a BEGIN of its own psycopg would leave out what `configure` has set for transactions.
        told = (conn.read_only, conn.isolation_level, conn.deferrable) != (None, None, None)
        self._was = conn.autocommit or told
        if not self._was:
            conn.autocommit = True

    def _end(self, conn: Connection[Any]) -> None:
        # In any other state the session is rolled back or dropped, and the setting with what it was about.
        if not self._was:
            if conn.pgconn.transaction_status != IDLE and not conn.closed:
                conn.rollback()
            if not conn.closed:
                conn.autocommit = False


class TransactionLoan:
    """A session and a transaction on it for a `with` block."""

    __slots__ = ("_lending", "_transaction")

    def __init__(self, pool: Pool[Any], timeout: float | None) -> None:
        self._lending = pool.connection(timeout)

    def __enter__(self) -> Connection[DictRow]:
        if self._lending.conn is not None:
            raise RuntimeError(ENTERED)
        try:
            conn = self._lending.__enter__()
            self._transaction = conn.transaction()
            self._transaction.__enter__()
        except BaseException as error:
            _leave(self._lending, error)
            raise
        return conn  # type: ignore[no-any-return]  # of a pool whose rows are dictionaries

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> bool | None:
        aborted: BaseException | None = None
        try:
            conn = self._lending.conn
            if kind is None and conn is not None and conn.pgconn.transaction_status in (INERROR, UNKNOWN):
                from pgusher.client.failures import not_committed  # late: it is rare

                if (aborted := not_committed(conn)) is not None:
                    kind, error = type(aborted), aborted
            # psycopg.Rollback ends here, and with it the reason to roll back.
            swallowed: bool | None = self._transaction.__exit__(kind, error, at)
            if swallowed:
                kind = error = at = None
            self._lending.__exit__(kind, error, at)
        except BaseException as failed:
            _leave(self._lending, failed)
            raise
        if aborted is not None:
            raise aborted
        return swallowed


def _leave(lending: Any, error: BaseException) -> None:
    """End a loan after an exception, unless it has ended."""
    if lending is not None and lending.conn is not None:
        lending.__exit__(type(error), error, error.__traceback__)
