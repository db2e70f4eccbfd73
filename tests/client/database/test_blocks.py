"""`with db as cur:` of one object commits what its own block has done, whoever else has one open."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, ExitStack, suppress
from typing import Any

import psycopg
import pytest
from psycopg.rows import DictRow
from psycopg_pool import PoolTimeout

from pgusher import AsyncDatabase, Database, DatabaseError


@pytest.fixture
def left(dsn: str) -> Iterator[str]:
    with psycopg.connect(dsn, autocommit=True) as conn:
        conn.execute("drop table if exists left_behind")
        conn.execute("create table left_behind (v int)")
        yield "select array_agg(v order by v) as v from left_behind"
        conn.execute("drop table left_behind")


INSERT = "insert into left_behind values (%s)"


def test_generators_of_one_thread(dsn: str, left: str) -> None:
    with Database(dsn, max_size=4) as _:
        pass
    db = Database(dsn, max_size=4)

    def block(value: int) -> Iterator[None]:
        with db as cur:
            cur.execute(INSERT, (value,))
            yield

    first, second = block(100), block(200)
    next(first)
    next(second)
    assert next(first, None) is None
    with suppress(ZeroDivisionError):
        second.throw(ZeroDivisionError())  # type: ignore[attr-defined]
    assert db.fetch_one(left) == {"v": [100]}
    db.close()


def test_a_sync_database_in_two_tasks(dsn: str, left: str) -> None:
    db = Database(dsn, max_size=4)

    async def block(value: int, fails: bool) -> None:
        with db as cur:
            cur.execute(INSERT, (value,))
            await asyncio.sleep(0.05 * value)
            if fails:
                raise ZeroDivisionError

    async def both() -> None:
        await asyncio.gather(block(1, True), block(2, False), return_exceptions=True)

    asyncio.run(both())
    assert db.fetch_one(left) == {"v": [2]}
    db.close()


def test_blocks_within_blocks_and_in_an_exit_stack(dsn: str, left: str) -> None:
    db = Database(dsn, max_size=4)
    with db as outer, db as other:
        assert outer.connection is not other.connection
        outer.execute(INSERT, (1,))
        with suppress(ZeroDivisionError), db as inner:
            inner.execute(INSERT, (2,))
            raise ZeroDivisionError
    with ExitStack() as stack:
        stack.enter_context(db).execute(INSERT, (3,))
    assert db.fetch_one(left) == {"v": [1, 3]}
    db.close()


def test_stacks_of_one_thread_in_any_order(dsn: str, left: str) -> None:
    db = Database(dsn, max_size=6)
    one, other = ExitStack(), ExitStack()
    one.enter_context(db).execute(INSERT, (1,))
    other.enter_context(db).execute(INSERT, (2,))
    one.enter_context(db).execute(INSERT, (3,))
    moved = one.pop_all()
    moved.__exit__(ValueError, ValueError(), None)
    assert db.fetch_one(left) == {"v": None}
    other.close()
    assert db.fetch_one(left) == {"v": [2]}
    with db as outer, ExitStack() as stack:
        outer.execute(INSERT, (4,))
        for value in (5, 6):
            stack.enter_context(db).execute(INSERT, (value,))
    assert db.fetch_one(left) == {"v": [2, 4, 5, 6]}
    with suppress(ValueError), ExitStack() as stack:
        stack.enter_context(db).execute(INSERT, (7,))
        with db as cur:
            cur.execute(INSERT, (8,))
        raise ValueError
    assert db.fetch_one(left) == {"v": [2, 4, 5, 6, 8]}
    assert db.stats()["loans_out"] == 0
    db.close()


def test_by_hand_one_at_a_time(dsn: str, left: str) -> None:
    db = Database(dsn, max_size=4)
    with pytest.raises(DatabaseError, match="is not open"):
        db.__exit__(None, None, None)
    assert hasattr(db, "__enter__")  # looked up, and not called
    assert hasattr(db, "__exit__")
    db.__enter__().execute(INSERT, (1,))
    with db as cur:  # a with statement's own end is certain
        cur.execute(INSERT, (2,))
    with pytest.raises(DatabaseError, match="by hand is still open") as refused:
        db.__enter__()
    assert refused.value.hint == "use a with statement or with db.cursor() as cur"
    with suppress(ZeroDivisionError), db as cur:
        cur.execute(INSERT, (3,))
        db.__exit__(None, None, None)  # the one by hand, although it stands in another
        raise ZeroDivisionError
    assert db.fetch_one(left) == {"v": [1, 2]}
    db.__enter__().execute(INSERT, (4,))
    db.__exit__(ValueError, ValueError(), None)
    stack = ExitStack()
    db.__enter__().execute(INSERT, (5,))
    stack.push(db)
    stack.close()
    enter, leave = db.__enter__, db.__exit__  # as unittest's enterContext does
    enter().execute(INSERT, (6,))
    leave(None, None, None)
    assert db.fetch_one(left) == {"v": [1, 2, 5, 6]}
    with pytest.raises(DatabaseError, match="is not open"):
        db.__exit__(None, None, None)
    assert db.stats()["loans_out"] == 0
    db.close()


class Wrapped(Database):
    """A subclass that does something before and after."""

    def __enter__(self) -> psycopg.Cursor[DictRow]:
        return super().__enter__()

    def __exit__(self, *exc: Any) -> None:  # noqa: PYI036 - passed on
        super().__exit__(*exc)


def test_a_subclass_with_methods_of_its_own(dsn: str, left: str) -> None:
    db = Wrapped(dsn, max_size=4)
    with db as cur:
        cur.execute(INSERT, (1,))
        with pytest.raises(DatabaseError, match="by hand"), db:
            pass
    with suppress(ValueError), db as cur:
        cur.execute(INSERT, (2,))
        raise ValueError
    assert db.fetch_one(left) == {"v": [1]}
    db.close()


def test_a_block_that_got_no_session_is_not_open(dsn: str) -> None:
    db = Database(dsn, max_size=1, timeout=0.05)
    with db.connection():
        for _ in range(2):
            with pytest.raises(PoolTimeout):
                db.__enter__()
            with pytest.raises(PoolTimeout), db:
                pass
    db.__enter__()
    db.__exit__(None, None, None)
    db.close()


def test_where_the_exit_is_looked_up_first(dsn: str, left: str) -> None:
    """As Python 3.14 does for a with statement, and Cython always."""
    db = Database(dsn, max_size=4)
    leave, enter = db.__exit__, db.__enter__
    other_leave, other_enter = db.__exit__, db.__enter__
    enter().execute(INSERT, (1,))
    other_enter().execute(INSERT, (2,))
    leave(None, None, None)
    other_leave(ValueError, ValueError(), None)
    assert db.fetch_one(left) == {"v": [1]}
    db.close()


def test_async_generators_of_one_task(dsn: str, left: str) -> None:
    async def body() -> None:
        db = AsyncDatabase(dsn, max_size=4)

        async def block(value: int) -> AsyncIterator[None]:
            async with db as cur:
                await cur.execute(INSERT, (value,))
                yield

        bad, good = block(13), block(14)
        await anext(bad)
        await anext(good)
        with suppress(ZeroDivisionError):
            await bad.athrow(ZeroDivisionError())  # type: ignore[attr-defined]
        async for _ in good:
            pass
        assert await db.fetch_one(left) == {"v": [14]}
        async with AsyncExitStack() as stack:
            await (await stack.enter_async_context(db)).execute(INSERT, (15,))
        assert await db.fetch_one(left) == {"v": [14, 15]}
        one, other = AsyncExitStack(), AsyncExitStack()
        for value, stack in ((16, one), (17, other), (18, one)):
            await (await stack.enter_async_context(db)).execute(INSERT, (value,))
        await one.__aexit__(ValueError, ValueError(), None)
        await other.aclose()
        await (await db.__aenter__()).execute(INSERT, (19,))
        with pytest.raises(DatabaseError, match="by hand is still open"):
            await db.__aenter__()
        await db.__aexit__(None, None, None)
        with pytest.raises(DatabaseError, match="is not open"):
            await db.__aexit__(None, None, None)
        assert await db.fetch_one(left) == {"v": [14, 15, 17, 19]}
        await db.close()

    asyncio.run(body())


def test_a_statement_heeds_what_configure_has_set(dsn: str, left: str) -> None:
    def configure(conn: psycopg.Connection[object]) -> None:
        conn.read_only = True
        conn.isolation_level = psycopg.IsolationLevel.SERIALIZABLE

    db = Database(dsn, configure=configure)
    assert db.fetch_one("show transaction_isolation") == {"transaction_isolation": "serializable"}
    with pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
        db.execute(INSERT, (1,))
    assert db.fetch_one(left) == {"v": None}
    db.close()
