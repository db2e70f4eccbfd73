"""No message, cause or traceback of ours repeats a password; loans that are entered twice are refused."""

from __future__ import annotations

import asyncio
import logging
import traceback
from typing import Any

import psycopg
import pytest
from psycopg.rows import tuple_row

import pgusher
from pgusher import AsyncDatabase, Database, DatabaseError
from tests.client.pool.flavours import FLAVOURS, run

UNREADABLE = [
    "postgresql+psycopg2://u:S3cr3tWord@h/db",
    "postgresql+psycopg2://u:S3cr3tWord@h/db?sslmode=require",
    "postgresql://u:S3cr3t%Word@h/db",
    "Postgresql://u:S3cr3tWord@h/db",
    "postgres+asyncpg://u:S3cr3tWord@h/db",
    "host=h password='S3cr3tWord",
    "host=h password=my S3cr3tWord",
    "postgresql://u:S3cr3t/Word@h/db",
    "postgresql://u:my@S3cr3tWord@h/db",
]


def told(error: BaseException) -> str:
    """All that a traceback shows, and what it would show if nothing were suppressed."""
    shown = "".join(traceback.format_exception(error))
    step: BaseException | None = error
    while step is not None:
        shown += repr(step) + "".join(getattr(step, "__notes__", ()))
        step = step.__context__ or step.__cause__
    return shown


@pytest.mark.parametrize("url", UNREADABLE)
def test_a_connection_string_that_cannot_be_read_is_not_repeated(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (url, "shop"):
        monkeypatch.setenv("PGUSHER_SHOP_DSN", url)
        for kind in (Database, AsyncDatabase):
            with pytest.raises(DatabaseError) as raised:
                kind(name)
            assert raised.value.hint
            assert "S3cr3t" not in told(raised.value)


@pytest.mark.parametrize("name", sorted(FLAVOURS))
def test_nor_by_a_pool(name: str, caplog: pytest.LogCaptureFixture) -> None:
    flavour = FLAVOURS[name]()

    async def body() -> None:
        for url in UNREADABLE:
            if url.startswith(("postgresql://", "host")):
                async with flavour.pool(url, min_size=0, max_size=1) as pool:
                    with pytest.raises(pgusher.client.failures.ConnectFailed) as raised:
                        await pool.getconn(timeout=5)
                    assert "connection string cannot be read" in str(raised.value)
                    assert "S3cr3t" not in told(raised.value)

    with caplog.at_level(logging.DEBUG):
        run(flavour, body)
    assert "S3cr3t" not in caplog.text


def test_nor_when_two_values_contradict() -> None:
    dsn = "host=/nowhere dbname=contradiction"
    Database(dsn, kwargs={"password": "S3cr3tWord"}, max_size=3, service="S3cr3tWord")
    assert Database(dsn).pool.max_size == 3  # what comes after the first use contradicts
    contradictions: list[tuple[dict[str, Any], str]] = [
        ({"kwargs": {"password": "S3cr3tOther"}}, "two values of kwargs in one process"),
        ({"max_size": 4}, "two values of max_size in one process, 3 and 4"),
        ({"service": "S3cr3tOther"}, "two values of service in one process"),
    ]
    for more, shown in contradictions:
        with pytest.raises(DatabaseError, match=f"{shown}\n") as raised:
            Database(dsn, **more)
        assert "S3cr3t" not in told(raised.value)
    Database(dsn).close()


def test_rows_are_what_kwargs_say(dsn: str) -> None:
    for kwargs in ({"row_factory": tuple_row}, lambda: {"row_factory": tuple_row}):
        db = Database(f"{dsn} connect_timeout={5 + callable(kwargs)}", kwargs=kwargs)
        rows: list[Any] = [db.fetch_one("select 1"), db.fetch_all("select 1")]
        with db.cursor() as cur, db as other, db.connection() as conn:
            rows += [each.execute("select 1").fetchone() for each in (cur, other, conn)]
        assert rows == [(1,), [(1,)], (1,), (1,), (1,)]
        db.close()
    only_a_name = Database(f"{dsn} connect_timeout=8", kwargs=lambda: {"application_name": "named"})
    assert only_a_name.fetch_one("show application_name") == {"application_name": "named"}
    only_a_name.close()

    async def named() -> dict[str, Any]:
        return {"application_name": "awaited"}

    async def body() -> None:
        db = AsyncDatabase(f"{dsn} connect_timeout=9", kwargs=named)
        assert await db.fetch_one("show application_name") == {"application_name": "awaited"}
        await db.close()

    asyncio.run(body())


def test_a_loan_is_entered_once_at_a_time(dsn: str) -> None:
    db = Database(dsn, max_size=3)
    for loan in (db.connection(), db.cursor(), db.transaction()):
        assert loan is not None
        with loan:
            with pytest.raises(RuntimeError, match="entered already"), loan:
                pass
            assert db.stats()["loans_out"] == 1
        with loan:  # a new one
            assert db.stats()["loans_out"] == 1
        assert db.stats()["loans_out"] == 0
    with pytest.raises(RuntimeError, match="without having been entered"):
        db.connection().__exit__(None, None, None)
    db.close()

    async def body() -> None:
        shared = AsyncDatabase(dsn, max_size=3)
        pool = await shared.pool()
        loan = pool.connection()
        both = await asyncio.gather(loan.__aenter__(), loan.__aenter__(), return_exceptions=True)
        assert [type(each) for each in both].count(RuntimeError) == 1
        await loan.__aexit__(None, None, None)
        for block in (shared.connection(), shared.cursor(), shared.transaction()):
            async with block:
                with pytest.raises(RuntimeError, match="entered already"):
                    await block.__aenter__()
                assert shared.stats()["loans_out"] == 1
            assert shared.stats()["loans_out"] == 0
        await shared.close()

    asyncio.run(body())


def test_the_classes_are_told_by_name_alone(dsn: str) -> None:
    secret = f"{dsn} password=S3cr3tWord"
    assert "S3cr3t" not in f"{Database(secret)!r}{AsyncDatabase(secret)!r}{psycopg.conninfo.make_conninfo(dsn)}"
