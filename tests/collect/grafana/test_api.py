"""What is read from the API, tried on the stand-in."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pgusher.collect.grafana.api import path_of, read_api
from pgusher.collect.grafana.client import Access, Client
from pgusher.demo.grafana_stand_in import StandIn
from pgusher.model.evidence import Certainty
from pgusher.model.grafana import Seen
from tests.collect.grafana.standing import URL, client_of


def shop(version: str = "12.1.0", **told: Any) -> StandIn:
    stand_in = StandIn(version)
    fields: dict[str, Any] = {
        "url": "db1:5433",
        "user": "grafana",
        "jsonData": {"database": "shop", "maxOpenConns": 20},
    }
    stand_in.add("Shop", secrets={"password": "s3cr3tW0rd"}, **(fields | told))
    return stand_in


def test_a_data_source_with_its_version_and_limits() -> None:
    stand_in = shop(readOnly=True)
    stand_in.store.rows[1].version = 7
    found = read_api(client_of(stand_in))
    (one,) = found.sources
    assert (found.name, found.version, found.seen, found.gaps) == (URL, "12.1.0", Seen.API, ())
    assert (one.name, one.where, one.database, one.user, one.org) == ("Shop", "db1:5433", "shop", "grafana", 1)
    assert (one.version, one.read_only, one.uid) == (7, True, "uid-1")
    assert (one.limits.max_open.value, one.limits.max_open.origin) == (20, "jsonData of the data source")
    assert (one.limits.lifetime.value, one.limits.lifetime.default) == (14400, True)
    assert "s3cr3tW0rd" not in repr(found)


def test_its_defaults_are_asked_for() -> None:
    stand_in = StandIn("11.0.0", (30, 5, 600))
    stand_in.add("Shop", url="db1", jsonData={})
    (one,) = read_api(client_of(stand_in)).sources
    assert [figure.value for figure in (one.limits.max_open, one.limits.max_idle, one.limits.lifetime)] == [30, 5, 600]
    assert one.limits.max_open.origin == "max_open_conns_default, as /api/frontend/settings tells"
    assert (one.port, one.host) == (5432, "db1")


@pytest.mark.parametrize("version", ["7.5.0", "8.5.0"])
def test_old_versions_are_asked_by_number(version: str) -> None:
    stand_in = shop(version, type="postgres", database="shop", password="plain-W0rd", jsonData={})
    found = read_api(client_of(stand_in))
    (one,) = found.sources
    assert (one.version, one.database, one.limits.max_open.value, found.gaps) == (1, "shop", None, ())
    assert ("GET", "/api/datasources/1") in stand_in.asked
    assert "plain-W0rd" not in repr(found)


def test_other_types_and_other_organisations() -> None:
    stand_in = shop()
    stand_in.add("Metrics", type="prometheus")
    stand_in.add("Copy", org=2, url="db1:5433", uid="uid-1", jsonData={})
    one = read_api(client_of(stand_in))
    both = read_api(client_of(stand_in, stand_in.token(2), stand_in.token(1), stand_in.token(1)))
    assert [source.name for source in one.sources] == ["Shop"]
    assert [(source.org, source.name) for source in both.sources] == [(1, "Shop"), (2, "Copy")]
    assert both.may_take() == 120


def test_a_token_that_may_not_read_is_a_gap_with_the_permission() -> None:
    stand_in = shop()
    found = read_api(client_of(stand_in, stand_in.token(1, {"dashboards:read"})))
    (gap,) = found.gaps
    assert (found.sources, gap.opens) == ((), "a service account with the permission datasources:read")
    assert "Permissions needed: datasources:read" in gap.why


def test_a_wrong_token_and_none() -> None:
    wrong = read_api(client_of(shop(), "glsa_wrong"))
    assert [(gap.why, gap.opens) for gap in wrong.gaps] == [
        ("GET /api/datasources: 401: Invalid API key", "a token that is valid")
    ]
    (gap,) = read_api(Client(Access(URL), client_of(shop())._send)).gaps
    assert gap.opens == "PGUSHER_GRAFANA_TOKEN, or --grafana-token-file FILE"


def test_a_hostile_name_is_text() -> None:
    stand_in = StandIn()
    stand_in.add(
        "\x1b[31mShop\npassword=s3cr3tW0rd " + "x" * 5000, url="postgres://u:s3cr3tW0rd@db1:6000/d", jsonData={}
    )
    (one,) = read_api(client_of(stand_in)).sources
    assert "\x1b" not in one.name
    assert len(one.name) < 300
    assert (one.host, one.port) == ("db1", 6000)
    assert "s3cr3tW0rd" not in repr(one)


def test_a_uid_is_quoted_in_a_path() -> None:
    stand_in = StandIn()
    stand_in.add("Shop", uid="a/../b?c", url="db1", jsonData={})
    (one,) = read_api(client_of(stand_in)).sources
    assert path_of(one, "12.0.0") == "/api/datasources/uid/a%2F..%2Fb%3Fc"


def answering(told: object, status: int = 200) -> Client:
    def send(_m: str, url: str, _h: Mapping[str, str], _b: bytes | None, _t: float) -> tuple[int, bytes]:
        return (status, json.dumps(told).encode()) if "health" not in url else (200, b'{"version": "12.0.0"}')

    return Client(Access(URL, ("glsa_x",)), send)


FIELDS = st.sampled_from(
    ["id", "uid", "orgId", "name", "type", "url", "user", "database", "jsonData", "version", "readOnly", "maxOpenConns"]
)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text() | st.just("postgres"),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(FIELDS, inner, max_size=4),
    max_leaves=4,
)


@settings(max_examples=60)
@given(VALUES | st.lists(st.dictionaries(FIELDS, VALUES, max_size=6), max_size=3))
def test_no_answer_raises(told: object) -> None:
    read_api(answering(told))


@pytest.mark.parametrize(("silent", "asked"), [(True, 1), (False, 3)])
def test_one_that_does_not_answer_is_not_asked_for_each_data_source(silent: bool, asked: int) -> None:
    stand_in = shop()
    for name in ("Till", "Store"):
        stand_in.add(name, url="db1:5433", user="grafana", jsonData={})
    client = client_of(stand_in)
    inner, paths = client._send, []

    def send(method: str, url: str, *rest: Any) -> tuple[int, bytes]:
        if "/uid/" not in url:
            return (500, b"{}") if url.endswith("settings") else inner(method, url, *rest)
        paths.append(url)
        if silent:
            raise TimeoutError("timed out")
        return 500, b"{}"

    client._send = send
    found = read_api(client)
    assert [one.limits.max_open.value for one in found.sources] == [20, 100, 100]
    assert (len(paths), [gap.what for gap in found.gaps].count("the versions of data sources")) == (asked, 1)
    most = found.sources[1].limits.max_open
    assert (most.certainty, most.origin) == (
        Certainty.LIKELY,
        "default of 9.5 on, [sql_datasources] could not be read",
    )


def test_more_data_sources_than_are_read_are_a_gap() -> None:
    told = [{"type": "postgres", "uid": f"u{n}", "name": "n"} for n in range(5003)]
    raw = json.dumps(told).encode()
    client = Client(Access(URL, ("t",)), lambda _m, url, *_: (200 if url.endswith("sources") else 500, raw))
    found = read_api(client)
    assert (len(found.sources), found.gaps[1].what) == (5000, "3 data sources")


def test_an_answer_that_is_no_list_is_a_gap() -> None:
    (gap,) = read_api(answering({"a": 1})).gaps
    assert gap.why == "the answer is no list: is it Grafana?"
