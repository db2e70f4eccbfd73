"""What both flavours do for one statement and one block."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any

import psycopg
import pytest
from psycopg.rows import namedtuple_row, scalar_row, tuple_row
from psycopg_pool import PoolTimeout

from pgusher import DatabaseError
from tests.client.database.conftest import Play

COUNT = "select count(*) as n from pg_class where relname = 'kept'"


def test_rows_are_dictionaries_unless_told_otherwise(make: Any, dsn: str, play: Play) -> None:
    async def body() -> None:
        db = make(dsn)
        assert await db.fetch_all("select * from generate_series(1, %s) n", (2,)) == [{"n": 1}, {"n": 2}]
        assert await db.fetch_one("select 1 as one, 'x' as x") == {"one": 1, "x": "x"}
        assert await db.fetch_one("select 1 where false") is None
        assert await db.fetch_all("select 1, 2", row_factory=tuple_row) == [(1, 2)]
        assert await db.fetch_one("select 7", row_factory=scalar_row) == 7
        async with db.cursor() as cur:
            await cur.execute("select 1 as a")
            assert await cur.fetchone() == {"a": 1}
        async with db.cursor(row_factory=namedtuple_row) as cur:
            await cur.execute("select 1 as a")
            assert (await cur.fetchone()).a == 1
        async with db.connection() as conn:
            assert await (await conn.execute("select 2 as b")).fetchone() == {"b": 2}

    play(body)


def test_the_incidents_shape_works_and_raises(make: Any, dsn: str, play: Play) -> None:
    async def body() -> None:
        async with make(dsn) as cur:
            await cur.execute("select 5 as five")
            assert await cur.fetchall() == [{"five": 5}]
        with pytest.raises(psycopg.errors.UndefinedTable):
            async with make(dsn) as cur:
                await cur.execute("select * from no_such_table")
        with pytest.raises(ZeroDivisionError):
            async with make(dsn):
                raise ZeroDivisionError
        assert make(dsn).stats()["loans_out"] == 0

    play(body)


async def undone(db: Any) -> None:
    async with db.transaction() as conn:
        await conn.execute("insert into kept values (7)")
        raise psycopg.Rollback


async def failing(block: Any) -> None:
    async with block() as taken:
        await taken.execute("insert into kept values (6)")
        raise ZeroDivisionError


def test_a_block_is_committed_or_rolled_back(make: Any, dsn: str, play: Play) -> None:
    async def body() -> None:
        db = make(dsn)
        await db.execute("create table if not exists kept (n int)")
        await db.execute("truncate kept")
        assert await db.execute("insert into kept select generate_series(1, 3)") == 3
        async with db.cursor() as cur:
            await cur.execute("insert into kept values (4)")
        async with db.transaction() as conn:
            await conn.execute("insert into kept values (5)")
        await undone(db)
        for block in (db.cursor, db.connection, db.transaction):
            with pytest.raises(ZeroDivisionError):
                await failing(block)
        assert await db.fetch_all("select n from kept order by n", row_factory=scalar_row) == [1, 2, 3, 4, 5]

    play(body)


def test_a_statement_holds_its_loan_alone_and_leaves_the_session_as_it_was(make: Any, dsn: str, play: Play) -> None:
    async def body() -> None:
        db = make(dsn, max_size=1, timeout=5)
        for _ in range(3):
            assert await db.fetch_one("select txid_current_if_assigned() as x") == {"x": None}
        with pytest.raises(psycopg.errors.DivisionByZero):
            await db.execute("select 1 / 0")
        with pytest.raises(psycopg.ProgrammingError):
            await db.fetch_all("set application_name = 'x'")
        async with db.connection() as conn:
            assert not conn.autocommit
            assert conn.pgconn.transaction_status == psycopg.pq.TransactionStatus.IDLE
        assert db.stats()["connections_num"] == 1

    play(body)


def test_who_waits_in_vain_is_told_the_line(make: Any, dsn: str, play: Play) -> None:
    async def body() -> None:
        db = make(dsn, max_size=1, timeout=0.2)
        async with db.cursor():
            with pytest.raises(PoolTimeout) as caught:
                await db.fetch_all("select 1")
        assert "borrowed at " in str(caught.value)
        assert "/tests/client/database/" in str(caught.value)  # of the threads, the line of what dresses them up

    play(body)


def test_a_wrong_password_is_told_at_once_and_no_secret_with_it(make: Any, server: Any, play: Play) -> None:
    async def body() -> None:
        db = make(server.dsn(user="slow", dbname="app", password="open-sesame"))
        with pytest.raises(PoolTimeout, match="password authentication failed") as caught:
            await db.fetch_all("select 1", timeout=20)
        assert "open-sesame" not in str(caught.value) + repr(db) + db.name

    play(body)


def test_it_opens_nothing_until_it_is_used_and_ends_what_it_opened(
    make: Any, dsn: str, play: Play, sessions: Callable[[], list[int]]
) -> None:
    async def body() -> None:
        db = make(dsn)
        assert (sessions(), db.stats()) == ([], {})
        await db.execute("select 1")
        assert len(sessions()) == 1
        await db.close()
        assert await db.fetch_one("select 1 as one") == {"one": 1}
        assert db.stats()["connections_num"] == 1

    play(body)


def test_wait_opens_what_is_wanted_or_says_why_not(make: Any, dsn: str, play: Play, sessions: Any) -> None:
    async def body() -> None:
        await make(dsn, min_size=2).wait(20)
        assert len(sessions()) == 2
        with pytest.raises(PoolTimeout, match="does not exist"):
            await make(psycopg.conninfo.make_conninfo(dsn, dbname="nowhere")).wait(20)

    play(body)


def test_a_string_that_cannot_be_read_is_told_without_its_secrets(make: Any) -> None:
    for text in ("host=x password='half", "postgresql://u:secret@h/?nothing=1"):
        with pytest.raises(DatabaseError) as caught:
            make(text)
        assert "secret" not in f"{caught.value}{caught.value.detail}"


def test_sessions_carry_a_name_and_limit_themselves(make: Any, server: Any, play: Play) -> None:
    async def body() -> None:
        db = make(server.dsn(user="app", dbname="app", keepalives_count=4), service="orders-api", max_idle=45)
        row = await db.fetch_one(
            "select current_setting('application_name') as name, current_setting('idle_session_timeout') as idle,"
            " current_setting('client_connection_check_interval') as looks"
        )
        assert row["name"].startswith("orders-api ")
        assert (row["idle"], row["looks"]) == ("100s", "10s")

    play(body)


@pytest.mark.parametrize("block", ["cursor", "connection", "transaction"])
def test_a_block_whose_error_was_caught_inside_does_not_end_as_if_it_were_committed(
    make: Any, dsn: str, play: Play, block: str
) -> None:
    async def body() -> None:
        db = make(dsn)
        await db.execute("drop table if exists kept")
        await db.execute("create table kept (n int)")

        async def careless() -> None:
            async with getattr(db, block)() as thing:
                await thing.execute("insert into kept values (1)")
                with suppress(psycopg.errors.DivisionByZero):
                    await thing.execute("select 1/0")

        with pytest.raises(psycopg.errors.InFailedSqlTransaction, match="nothing of the block was committed"):
            await careless()
        assert await db.fetch_all("select * from kept") == []
        assert db.stats()["loans_out"] == 0

        async with db.transaction() as conn:  # with a savepoint it is dealt with
            await conn.execute("insert into kept values (2)")
            await conn.execute("savepoint s")
            with suppress(psycopg.errors.DivisionByZero):
                await conn.execute("select 1/0")
            await conn.execute("rollback to savepoint s")
        async with db.connection() as conn:
            with suppress(psycopg.errors.DivisionByZero):
                await conn.execute("select 1/0")
            await conn.rollback()
        assert await db.fetch_all("select n from kept") == [{"n": 2}]

    play(body)


@pytest.mark.parametrize("block", ["cursor", "connection", "transaction"])
def test_a_block_whose_session_was_lost_unnoticed_does_not_end_as_if_it_were_committed(
    make: Any, dsn: str, play: Play, block: str
) -> None:
    async def body() -> None:
        db = make(dsn)
        await db.execute("drop table if exists kept")
        await db.execute("create table kept (n int)")

        async def lose(thing: Any) -> None:
            with suppress(psycopg.OperationalError):
                await thing.execute("select pg_terminate_backend(pg_backend_pid())")

        async def careless() -> None:
            async with getattr(db, block)() as thing:
                await thing.execute("insert into kept values (1)")
                await lose(thing)

        with pytest.raises(psycopg.OperationalError, match="what the block had not committed before is not committed"):
            await careless()
        assert await db.fetch_all("select * from kept") == []
        assert db.stats()["loans_out"] == 0

        async with db.connection() as conn:  # whoever closes it knows
            await conn.close()
        async with db.connection() as conn:  # each statement was committed by itself
            await conn.set_autocommit(True)
            await conn.execute("insert into kept values (2)")
            await lose(conn)
        assert await db.fetch_all("select n from kept") == [{"n": 2}]

    play(body)
