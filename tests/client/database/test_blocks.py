"""`with db as cur:` of one object commits what its own block has done, whoever else has one open."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, ExitStack, suppress

import psycopg
import pytest

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
    twice = ExitStack()
    twice.enter_context(db).execute(INSERT, (4,))
    twice.enter_context(db).execute(INSERT, (5,))
    with pytest.raises(DatabaseError, match="which of its open blocks"):
        twice.close()
    assert db.fetch_one(left) == {"v": [1, 3]}  # nothing is committed by a guess
    assert db.stats()["loans_out"] == 0
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
        await db.close()

    asyncio.run(body())


@pytest.mark.parametrize(
    "url",
    [
        "postgresql+psycopg2://u:S3cr3tWord@h/db",
        "postgresql+psycopg2://u:S3cr3tWord@h/db?sslmode=require",
        "postgresql://u:S3cr3t%Word@h/db",
        "Postgresql://u:S3cr3tWord@h/db",
        "postgres+asyncpg://u:S3cr3tWord@h/db",
        "host=h password='S3cr3tWord",
    ],
)
def test_a_connection_string_that_cannot_be_read_is_not_repeated(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (url, "shop"):
        monkeypatch.setenv("PGUSHER_SHOP_DSN", url)
        with pytest.raises(DatabaseError) as raised:
            Database(name)
        error = raised.value
        assert error.hint
        assert "S3cr3t" not in f"{error}{error.detail}{error.hint}{error.__notes__}{error.__cause__}"


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
