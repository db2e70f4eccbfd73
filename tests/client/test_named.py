"""Databases and budgets by name: where they are looked for, and what is said when they are not there."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import pgusher
from pgusher.app import config
from pgusher.client import named
from pgusher.client.named import Named, database, is_conninfo
from pgusher.errors import ConfigError

FILE = """
[databases.orders]
dsn = "host=db1 dbname=orders"
max_size = 4
timeout = 5
budget = "web"
label = "orders-api"

[databases."reports.old"]
host = "db2"
port = 5433
dbname = "it's old"

[databases.default]
service = "main"

[budget.web]
total = 41
hosts = 2
minimum = 3
"""


@pytest.fixture
def here(tmp_path: Path) -> str:
    (tmp_path / "pgusher.toml").write_text(FILE)
    return str(tmp_path)


def test_a_database_of_the_configuration(here: str) -> None:
    assert database("orders", environment={}, cwd=here) == Named(
        "orders",
        "host=db1 dbname=orders",
        {"max_size": 4, "timeout": 5, "budget": "web", "service": "orders-api"},
        f"{here}/pgusher.toml: databases.orders",
    )
    found = database("reports.old", environment={}, cwd=here)
    assert (found.conninfo, found.options) == (r"host=db2 port=5433 dbname='it\'s old'", {})
    assert database(environment={}, cwd=here).conninfo == "service=main"


def test_the_environment_comes_first(here: str) -> None:
    environment = {"PGUSHER_ORDERS_DSN": "host=e", "PGUSHER_REPORTS_OLD_DSN": "host=f", "DATABASE_URL": "postgres://g"}
    assert database("orders", environment=environment, cwd=here) == Named("orders", "host=e", {}, "$PGUSHER_ORDERS_DSN")
    assert database("reports.old", environment=environment, cwd=here).conninfo == "host=f"
    assert database("", environment=environment, cwd=here).conninfo == "postgres://g"
    assert database("default", environment=environment | {"PGUSHER_DSN": "host=h"}, cwd=here).conninfo == "host=h"


def test_a_file_beside_the_script_is_found_from_anywhere(here: str, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    assert database("orders", environment={}, cwd=str(elsewhere), beside=here).conninfo == "host=db1 dbname=orders"


@pytest.mark.parametrize("how", ["PGSERVICEFILE", "HOME", "PGSYSCONFDIR"])
def test_a_service_of_libpq(tmp_path: Path, how: str) -> None:
    name = {"PGSERVICEFILE": "mine", "HOME": ".pg_service.conf", "PGSYSCONFDIR": "pg_service.conf"}[how]
    (tmp_path / name).write_text("# services\n[orders]\nhost=db1\n[o'rders]\nhost=db2\n")
    environment = {how: str(tmp_path / name) if how == "PGSERVICEFILE" else str(tmp_path)}
    found = database("orders", environment=environment, cwd=str(tmp_path))
    assert (found.conninfo, found.place) == ("service='orders'", f"{tmp_path / name}: [orders]")
    assert database("o'rders", environment=environment, cwd=str(tmp_path)).conninfo == r"service='o\'rders'"


def test_without_a_name_and_without_anything_it_is_libpqs_default(tmp_path: Path) -> None:
    assert database(environment={}, cwd=str(tmp_path)) == Named("default", "", {}, "libpq's defaults")


def test_a_name_that_is_nowhere_is_told_with_every_place(here: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as told:
        database("order", environment={}, cwd=here)
    assert str(told.value) == "database 'order' is not configured"
    assert told.value.detail == f"looked at $PGUSHER_ORDER_DSN, [databases.order] of {here}/pgusher.toml"
    assert "set PGUSHER_ORDER_DSN" in (told.value.hint or "")
    elsewhere = tmp_path / "empty"
    elsewhere.mkdir()
    with pytest.raises(ConfigError) as told:
        database("order", environment={}, cwd=str(elsewhere), beside=str(elsewhere))
    assert "no pgusher.toml was found" in (told.value.detail or "")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[databases.a]\nhots = 'db1'", "databases.a: unknown key 'hots'"),
        ("[databases.a]\ndsn = 'host=x'\nhost = 'y'", "databases.a: both dsn and host"),
        ("[databases.a]\nmax_size = 4", "databases.a: neither dsn nor a keyword of libpq"),
        ("[databases.a]\ndsn = 'host=x'\nmax_size = 'many'", "databases.a.max_size: expected a whole number"),
        ("[databases.a]\ndsn = 'host=x'\nmax_size = true", "databases.a.max_size: expected a whole number"),
        ("[databases.a]\ndsn = 'host=x'\ntimeout = '5 s'", "databases.a.timeout: expected a number of seconds"),
        ("[databases.a]\ndsn = 5", "databases.a.dsn: expected a string"),
        ("[databases]\na = 'host=x'", "databases.a: expected a table, as [databases.a]"),
        ("databases = 'host=x'", "databases: expected tables, as [databases.NAME]"),
        ("[databases.a]\nhost = ['x']", "databases.a.host: expected a string or a number"),
        ("[databases.a", "cannot be read as TOML"),
    ],
)
def test_what_is_wrong_is_told_with_its_place(tmp_path: Path, text: str, told: str) -> None:
    (tmp_path / "pgusher.toml").write_text(text)
    with pytest.raises(ConfigError) as error:
        database("a", environment={}, cwd=str(tmp_path))
    assert str(error.value) == f"{tmp_path}/pgusher.toml: {told}"


def test_a_password_is_not_told(tmp_path: Path) -> None:
    (tmp_path / "pgusher.toml").write_text("[databases.a]\npassword = ['hunter2']\nhots = 'hunter2'")
    with pytest.raises(ConfigError) as error:
        database("a", environment={}, cwd=str(tmp_path))
    assert "hunter2" not in f"{error.value} {error.value.detail} {error.value.hint}"


def test_a_connection_string_without_a_scheme_is_not_repeated(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as told:
        database("app:s3cr3t@db1/orders", environment={}, cwd=str(tmp_path))
    assert "s3cr3t" not in f"{told.value}{told.value.detail}{told.value.hint}".lower()
    assert "postgresql://" in (told.value.hint or "")


@pytest.mark.parametrize("value", ["nan", "inf", "-1", "true"])
def test_seconds_are_a_number_of_them(tmp_path: Path, value: str) -> None:
    (tmp_path / "pgusher.toml").write_text(f'[databases.orders]\nhost = "x"\ntimeout = {value}\n')
    with pytest.raises(ConfigError, match=r"databases\.orders\.timeout: expected a number of seconds"):
        database("orders", environment={}, cwd=str(tmp_path))


def test_the_share_of_a_host_is_what_its_budget_has(here: str) -> None:
    found = named.budget("web", environment={}, cwd=here)
    assert (found.total, found.minimum, found.directory) == (20, 3, None)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "budget 'web' has no total"),
        ("[budget.web]\nhosts = 2", "budget.web: total: expected a number from 1"),
        ("[budget.web]\ntotal = 2\nhosts = 3", "budget.web: a total of 2 is not one for each of 3 hosts"),
        ("[budget.web]\ntotal = 2\nhosts = 0", "budget.web: hosts: expected a number from 1"),
        ("[budget.web]\ntotal = '2'", "budget.web.total: expected a whole number"),
        ("[budget.web]\ntotals = 2", "budget.web: unknown key 'totals'"),
    ],
)
def test_a_wrong_budget_is_told_with_its_place(tmp_path: Path, text: str, told: str) -> None:
    (tmp_path / "pgusher.toml").write_text(text)
    with pytest.raises(ConfigError) as error:
        named.budget("web", environment={}, cwd=str(tmp_path))
    assert str(error.value).removeprefix(f"{tmp_path}/pgusher.toml: ") == told


def test_the_tools_take_the_same_file(here: str, tmp_path: Path) -> None:
    assert config.load(environment={}, cwd=here).path == f"{here}/pgusher.toml"
    (tmp_path / "pgusher.toml").write_text("[databases]\na = 5")
    with pytest.raises(ConfigError, match=r"databases[.]a: expected a table"):
        config.load(environment={}, cwd=here)


def test_a_database_and_its_budget_are_made_of_it(here: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PGUSHER_CONFIG", f"{here}/pgusher.toml")
    (Path(here) / "shared").mkdir(mode=0o700)
    budget = pgusher.Budget("web", directory=Path(here) / "shared")
    assert (budget.total, budget.held) == (20, 0)
    with pytest.raises(ConfigError, match="budget 'mail' has no total"):
        pgusher.Budget("mail")
    assert pgusher.Database("reports.old").name == "reports.old"
    with pytest.raises(ConfigError, match="database 'nowhere' is not configured"):
        pgusher.Database("nowhere")


@pytest.mark.parametrize("text", ["host=x", "dbname = 'y'", "postgresql://h/d", "postgres://h", "service=x"])
def test_a_connection_string_is_no_name(text: str) -> None:
    assert is_conninfo(text)


@pytest.mark.parametrize("text", ["", "orders", "reports.old", "orders-2", "=x"])
def test_a_name_is_no_connection_string(text: str) -> None:
    assert not is_conninfo(text)


@given(st.text(max_size=60))
def test_whatever_the_name_it_is_found_or_told(name: str) -> None:
    if name in {"", "default"}:
        assert database(name, environment={}, cwd="/nonexistent", beside="/nonexistent").conninfo == ""
        return
    with pytest.raises(ConfigError, match="cannot be read" if "@" in name else "is not configured"):
        database(name, environment={}, cwd="/nonexistent", beside="/nonexistent")
