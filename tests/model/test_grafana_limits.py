"""The table of limits by version, each row at both of its ends, and what does not come from a person's hand."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pgusher.model.codec import dump, load
from pgusher.model.evidence import Certainty, Gap
from pgusher.model.grafana import DataSource, Figure, Grafana, OwnDatabase, Place, Seen
from pgusher.model.grafana_limits import limits, parse_version

KIND = "grafana-postgresql-datasource"


@pytest.mark.parametrize(
    ("version", "most", "idle", "lifetime", "idle_time"),
    [
        ("4.6.3", 10, 10, None, None),
        ("5.3.4", 10, 10, None, None),
        ("5.4.0", None, 2, 14400, None),
        ("9.4.17", None, 2, 14400, None),
        ("9.5.0", 100, 100, 14400, None),
        ("12.3.9", 100, 100, 14400, None),
        ("12.4.0", 100, None, 14400, 1800),
        ("13.2.0-pre", 100, None, 14400, 1800),
        ("v10.2.3+security-01", 100, 100, 14400, None),
    ],
)
def test_the_defaults_of_each_version(
    version: str, most: int | None, idle: int | None, lifetime: int | None, idle_time: int | None
) -> None:
    found = limits(version, "postgres", {}, {})
    assert [found.max_open.value, found.max_idle.value, found.lifetime.value, found.idle_time.value] == [
        most,
        idle,
        lifetime,
        idle_time,
    ]
    assert found.max_open.default
    assert found.max_open.certainty is Certainty.PROVEN
    assert not found.broken


def test_what_the_data_source_says_stands_above_the_ini_and_that_above_the_default() -> None:
    ini = {"max_open_conns_default": Figure(20, "grafana.ini:3"), "max_idle_conns_default": Figure(3, "grafana.ini:4")}
    found = limits("11.0.0", KIND, {"maxOpenConns": 7}, ini)
    assert (found.max_open, found.max_idle) == (Figure(7, "jsonData of the data source"), Figure(3, "grafana.ini:4"))
    assert limits("11.0.0", KIND, {"maxOpenConns": None}, ini).max_open == Figure(20, "grafana.ini:3")
    assert limits("9.4.0", KIND, {}, ini).max_open.value is None  # [sql_datasources] is of 9.5


def test_the_oldest_have_no_setting() -> None:
    assert limits("5.3.0", "postgres", {"maxOpenConns": 3}, {}).max_open.value == 10


def test_an_unknown_version_is_taken_for_a_new_one_and_says_so() -> None:
    found = limits(None, KIND, {}, {}).max_open
    assert (found.value, found.certainty) == (100, Certainty.LIKELY)
    assert "not known" in found.origin
    assert limits(None, KIND, {"maxOpenConns": 5}, {}).max_open.certainty is Certainty.PROVEN


def test_idle_sessions_are_never_more_than_open_ones() -> None:
    assert limits("10.0.0", KIND, {"maxOpenConns": 5}, {}).max_idle.value == 5
    assert limits("10.0.0", KIND, {"maxOpenConns": 0, "maxIdleConns": 30}, {}).max_idle.value == 30


@pytest.mark.parametrize(
    ("version", "most", "broken"),
    [("9.4.0", None, False), ("12.3.0", None, False), ("12.4.0", 4, True), ("13.1.0", 4, False)],
)
def test_no_limit_is_what_the_version_makes_of_it(version: str, most: int | None, broken: bool) -> None:
    found = limits(version, KIND, {"maxOpenConns": 0}, {})
    assert found.max_open.value == most
    assert bool(found.broken) is broken


def test_a_lifetime_of_0_breaks_13_1_1() -> None:
    assert limits("13.1.0", KIND, {"connMaxLifetime": 0}, {}).broken == ""
    assert "cannot connect" in limits("13.1.1", KIND, {"connMaxLifetime": 0}, {}).broken
    assert limits("12.0.0", KIND, {"connMaxLifetime": 0}, {}).lifetime.value is None


def test_another_type_is_refused() -> None:
    with pytest.raises(ValueError, match="'mysql' is no PostgreSQL data source"):
        limits("11.0.0", "mysql", {}, {})


@pytest.mark.parametrize(
    "value", [True, "many", "", 3.5, [], {}, "9" * 5000, 10**30, "١٢", None, float("nan"), float("inf")]
)
def test_what_is_no_number_counts_as_not_set(value: object) -> None:
    assert limits("11.0.0", KIND, {"maxOpenConns": value}, {}).max_open.default


@pytest.mark.parametrize("value", ["12", 12, 12.0, " 12 "])
def test_a_number_may_be_written_as_text(value: object) -> None:
    assert limits("11.0.0", KIND, {"maxOpenConns": value}, {}).max_open.value == 12


JSON = st.recursive(st.none() | st.booleans() | st.integers() | st.floats() | st.text(), st.lists, max_leaves=4)


@given(
    st.text() | st.none(), st.dictionaries(st.sampled_from(["maxOpenConns", "maxIdleConns", "connMaxLifetime"]), JSON)
)
def test_whatever_is_said_there_is_an_answer(version: str | None, data: dict[str, object]) -> None:
    found = limits(version, KIND, data, {})
    assert found.max_open.value is None or found.max_open.value > 0
    assert found.max_idle.value is None or found.max_idle.value >= 0


@given(st.text())
def test_a_version_is_three_numbers_or_nothing(text: str) -> None:
    found = parse_version(text)
    assert found is None or all(number >= 0 for number in found)


def source(most: int | None) -> DataSource:
    found = limits("11.0.0", KIND, {"maxOpenConns": most if most is not None else 0}, {})
    return DataSource("u", "Shop", 1, KIND, "db1", 5432, "shop", "grafana", found)


def test_all_its_pools_in_all_its_processes() -> None:
    assert Grafana("x", "11.0.0", Seen.API, (source(20), source(30)), replicas=2).may_take() == 100
    assert Grafana("x", "11.0.0", Seen.API, (source(20), source(None))).may_take() is None


@pytest.mark.parametrize(
    ("host", "directory", "where"),
    [
        ("db1", None, "db1:5432"),
        ("::1", None, "[::1]:5432"),
        (None, "/run/postgresql", "/run/postgresql"),
        (None, None, "?:5432"),
    ],
)
def test_where_its_server_is(host: str | None, directory: str | None, where: str) -> None:
    one = source(1)
    assert DataSource("u", "S", 1, KIND, host, 5432, "d", "u", one.limits, directory).where == where


def test_it_can_be_saved_and_read_again() -> None:
    figure = Figure(3, "x", False, Certainty.LIKELY)
    own = OwnDatabase("db", 5432, "grafana", "grafana", figure, figure, figure)
    place = Place("/etc/grafana/provisioning/datasources/shop.yaml", 9)
    whole = Grafana(
        "x", None, Seen.SQLITE, (source(3),), 2, "2 processes", (7, 8), own, (Gap("grafana", "a", "b", "c"),)
    )
    assert load(Grafana, json.loads(json.dumps(dump(whole)))) == whole
    assert load(Place, dump(place)) == place
