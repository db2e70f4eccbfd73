"""Grafana's embedded database: made here with the columns that its migrations make, and read without a trace."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pgusher.collect.grafana.sqlite import SqliteError, read

# pkg/services/sqlstore/migrations/datasource_mig.go, and what later migrations add.
TABLE = """create table data_source (id integer primary key autoincrement not null, org_id integer not null,
  version integer not null, type text not null, name text not null, access text not null, url text not null,
  password text null, user text null, database text null, basic_auth integer not null, basic_auth_user text null,
  basic_auth_password text null, is_default integer not null, json_data text null, created datetime not null,
  updated datetime not null, with_credentials integer not null default 0, secure_json_data text null,
  read_only integer null, uid text not null default 0)"""
ROW = """insert into data_source (org_id, version, type, name, access, url, password, user, database, basic_auth,
  is_default, json_data, created, updated, secure_json_data, read_only, uid)
  values (?, 3, ?, ?, 'proxy', 'db1:5432', 's3cr3tW0rd', 'grafana', '', 0, 0, ?, '', '',
  '{"password": "s3cr3tW0rd"}', ?, ?)"""


def make(path: Path, *, journal: str = "delete") -> sqlite3.Connection:
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute(f"pragma journal_mode = {journal}")
    connection.execute(TABLE)
    connection.execute(ROW, (1, "postgres", "Shop", '{"maxOpenConns": 20, "database": "shop"}', 0, "u1"))
    connection.execute(ROW, (2, "grafana-postgresql-datasource", "Till", None, 1, "u2"))
    connection.execute(ROW, (1, "prometheus", "Metrics", "{}", 0, "u3"))
    return connection


@pytest.fixture
def path(tmp_path: Path) -> Iterator[Path]:
    found = tmp_path / "grafana ?#%.db"
    make(found).close()
    yield found
    assert sorted(os.listdir(tmp_path)) == [found.name]  # no -wal, -shm or -journal was left


def test_its_postgresql_data_sources(path: Path) -> None:
    shop, till = read(str(path))
    assert (shop["name"], shop["orgId"], shop["uid"], shop["version"], shop["readOnly"]) == ("Shop", 1, "u1", 3, False)
    assert shop["jsonData"] == {"maxOpenConns": 20, "database": "shop"}
    assert (till["name"], till["readOnly"], till["jsonData"]) == ("Till", True, {})
    assert "s3cr3tW0rd" not in repr([shop, till])


def test_a_write_ahead_log_is_read_while_it_is_in_use(tmp_path: Path) -> None:
    found = tmp_path / "grafana.db"
    connection = make(found, journal="wal")
    try:
        connection.execute("update data_source set json_data = '{\"maxOpenConns\": 7}' where uid = 'u1'")
        assert os.path.getsize(f"{found}-wal") > 0
        assert read(str(found))[0]["jsonData"] == {"maxOpenConns": 7}
    finally:
        connection.close()


def test_one_that_nobody_uses_gets_no_shared_memory(tmp_path: Path) -> None:
    found = tmp_path / "grafana.db"
    make(found, journal="wal").close()
    assert len(read(str(found))) == 2
    assert os.listdir(tmp_path) == ["grafana.db"]


def test_one_that_is_locked_is_not_waited_for(tmp_path: Path) -> None:
    found = tmp_path / "grafana.db"
    connection = make(found)
    try:
        connection.execute("begin exclusive")
        with pytest.raises(SqliteError, match="it is locked"):
            read(str(found))
    finally:
        connection.close()


def test_old_ones_have_fewer_columns(tmp_path: Path) -> None:
    found = tmp_path / "grafana.db"
    connection = sqlite3.connect(found)
    connection.execute("create table data_source (id integer, org_id integer, name text, type text, json_data text)")
    connection.execute("insert into data_source values (1, 1, 'Shop', 'postgres', '[')")
    connection.commit()
    connection.close()
    (one,) = read(str(found))
    assert (one["name"], one["jsonData"], "uid" in one) == ("Shop", {}, False)


ENDLESS = "with recursive r(n) as (select 1 union all select n + 1 from r)"
REST = "1 as org_id, 'postgres' as type, '{}' as json_data"


@pytest.mark.parametrize(
    ("script", "why"),
    [
        ("create table other (a)", "it has no data sources"),
        # A stranger's database: a view that never ends, and one that would call a function.
        (f"create view data_source as {ENDLESS} select n as id, {REST}, 'x' as name from r where n < 0", "interrupted"),
        (f"create view data_source as select 1 as id, {REST}, load_extension('x') as name", "load_extension"),
    ],
)
def test_a_strangers_database_ends(tmp_path: Path, script: str, why: str) -> None:
    found = tmp_path / "grafana.db"
    connection = sqlite3.connect(found)
    connection.executescript(script)
    connection.close()
    ticks = iter(range(0, 10_000, 1))
    with pytest.raises(SqliteError, match=why):
        read(str(found), lambda: float(next(ticks)))


def test_what_is_no_file(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    for name in ("fifo", "nothing", "."):
        with pytest.raises(SqliteError):
            read(str(tmp_path / name))


@settings(max_examples=30)
@given(st.data())
def test_torn_bytes_are_a_reason(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    base = tmp_path_factory.getbasetemp() / "torn.db"
    if not base.with_suffix(".whole").exists():
        make(base).close()
        base.rename(base.with_suffix(".whole"))
    whole = bytearray(base.with_suffix(".whole").read_bytes())
    for at, byte in data.draw(st.lists(st.tuples(st.integers(0, len(whole) - 1), st.integers(0, 255)), max_size=40)):
        whole[at] = byte
    base.write_bytes(bytes(whole[: data.draw(st.integers(0, len(whole)))]))
    with suppress(SqliteError):
        assert all("jsonData" in one for one in read(str(base)))
