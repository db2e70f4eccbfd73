"""An engine of SQLAlchemy over our pool: labels, budget, leak lines, and no session of its own."""

from __future__ import annotations

import inspect
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy
from psycopg_pool import PoolTimeout
from sqlalchemy.orm import Session

import pgusher
from pgusher import Budget, Database, DatabaseError
from pgusher.client.sqlalchemy import database, options

URL = "postgresql+psycopg://"
Sessions = Callable[[], list[dict[str, Any]]]


def engine(dsn: str, number: int, **more: Any) -> sqlalchemy.Engine:
    return sqlalchemy.create_engine(URL, **options(f"{dsn} application_name=sa{number}", **more))


def test_rows_transactions_and_the_orm_work(dsn: str, sessions: Sessions) -> None:
    made = engine(dsn, 1, max_size=2)
    with made.begin() as conn:
        conn.execute(sqlalchemy.text("create table if not exists ledgers (n int primary key)"))
        conn.execute(sqlalchemy.text("delete from ledgers"))
        conn.execute(sqlalchemy.text("insert into ledgers values (1), (2)"))
    table = sqlalchemy.Table("ledgers", sqlalchemy.MetaData(), autoload_with=made)
    with Session(made) as session:
        assert [row.n for row in session.execute(sqlalchemy.select(table).order_by(table.c.n))] == [1, 2]
    with pytest.raises(sqlalchemy.exc.IntegrityError), made.begin() as conn:
        conn.execute(table.insert().values([{"n": 3}, {"n": 1}]))
    with made.connect() as conn:
        assert conn.scalar(sqlalchemy.select(sqlalchemy.func.count()).select_from(table)) == 2
    mine = [row for row in sessions() if row["application_name"] == "sa1"]
    assert [row["state"] for row in mine] == ["idle"]
    database(f"{dsn} application_name=sa1").close()


def test_a_second_engine_shares_the_pool_and_a_database_does_not(dsn: str) -> None:
    words = f"{dsn} application_name=sa2"
    first, second = (sqlalchemy.create_engine(URL, **pgusher.sqlalchemy.options(words)) for _ in range(2))
    with first.connect() as one:
        pid = one.scalar(sqlalchemy.text("select pg_backend_pid()"))
    with second.connect() as two:
        assert two.scalar(sqlalchemy.text("select pg_backend_pid()")) == pid
    assert Database(words).fetch_one("select pg_backend_pid() as pid") != {"pid": pid}
    assert database(words).stats()["connections_num"] == 1
    Database(words).close()
    database(words).close()


def test_who_waits_in_vain_is_told_the_line_that_uses_sqlalchemy(dsn: str, tmp_path: Path) -> None:
    made = engine(dsn, 3, budget=Budget("sa", 1, directory=tmp_path), timeout=0.3)
    with made.connect() as conn:
        borrowed = inspect.currentframe().f_lineno - 1  # type: ignore[union-attr]  # there is one here
        conn.execute(sqlalchemy.text("select 1"))
        caught: list[BaseException] = []

        def vain() -> None:
            try:
                made.connect()
            except sqlalchemy.exc.OperationalError as error:  # as it wraps all errors of the driver
                caught.append(error)

        thread = threading.Thread(target=vain)
        thread.start()
        thread.join(20)
    assert f"borrowed at {__file__}:{borrowed} in " in str(caught[0])
    assert isinstance(caught[0].__cause__, PoolTimeout)
    database(f"{dsn} application_name=sa3").close()


def test_a_psycopg_pool_that_cannot_take_connections_back_is_told(dsn: str, monkeypatch: pytest.MonkeyPatch) -> None:
    class Old:
        def __init__(self) -> None:
            pass

    monkeypatch.setattr("pgusher.client.sqlalchemy.ConnectionPool", Old)
    with pytest.raises(DatabaseError, match=r"psycopg_pool 3\.3"):
        options(dsn)


def test_sessions_that_break_while_lent_leave_their_slots(dsn: str) -> None:
    made = engine(dsn, 4, max_size=2, timeout=20)
    kept: list[BaseException] = []  # as a framework, a logger or sys.last_value keeps an error
    for _ in range(4):
        with pytest.raises(sqlalchemy.exc.OperationalError) as caught, made.connect() as conn:
            conn.execute(sqlalchemy.text("select pg_terminate_backend(pg_backend_pid())"))
        kept.append(caught.value)
    assert database(f"{dsn} application_name=sa4").stats()["loans_out"] == 0
    with made.connect() as one, made.connect() as other:
        assert one.scalar(sqlalchemy.text("select 1")) == other.scalar(sqlalchemy.text("select 1"))
    database(f"{dsn} application_name=sa4").close()
