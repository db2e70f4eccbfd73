"""The contract with Grafana's API, kept by the stand-in; and by a live Grafana where one is named.

    PGUSHER_GRAFANA_URL=http://grafana:3000 PGUSHER_GRAFANA_TOKEN=glsa_... python -m pytest tests/contract

It reads alone, unless PGUSHER_GRAFANA_WRITE is the uid of a data source that may be sent back as it is.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from typing import Any

import pytest

from pgusher.app.grafana_check import Contract, Outcome
from pgusher.collect.grafana.client import Access, Client, check_url, read_tokens
from pgusher.demo.grafana_stand_in import StandIn
from tests.collect.grafana.standing import client_of

URL = os.environ.get("PGUSHER_GRAFANA_URL")


def world(version: str) -> tuple[StandIn, Client]:
    stand_in = StandIn(version)
    data = {"database": "shop", "maxOpenConns": 20}
    stand_in.add("Shop", url="db1:5432", user="grafana", jsonData=data, secrets={"password": "s3cr3tW0rd"}, version=3)
    stand_in.add("Till", org=2, url="db1:5432", user="till", jsonData={})
    stand_in.add("Metrics", type="prometheus", url="http://m:9090")
    return stand_in, client_of(stand_in, stand_in.token(1), stand_in.token(2))


@pytest.mark.parametrize("version", ["8.5.0", "9.0.0", "9.5.0", "12.1.0", "13.2.0"])
def test_the_stand_in_keeps_it(version: str) -> None:
    stand_in, client = world(version)
    before = json.dumps(stand_in.store.rows[1].json_data)
    points = Contract(client, "Shop").run()
    assert [point for point in points if point.outcome is Outcome.DIFFERS] == []
    assert sum(point.outcome is Outcome.HOLDS for point in points) >= 9
    assert json.dumps(stand_in.store.rows[1].json_data) == before
    assert stand_in.store.rows[1].secrets == {"password": "s3cr3tW0rd"}


def test_it_reads_alone_unless_it_is_told_to_write() -> None:
    stand_in, client = world("12.1.0")
    points = Contract(client).run()
    assert {method for method, _ in stand_in.asked} == {"GET"}
    assert [point.text for point in points if point.outcome is Outcome.NOT_ASKED] == ["it writes: --write UID"] * 2


def careless(answers: Mapping[str, Any]) -> list[str]:
    """The points that differ when some answers of the stand-in are others."""
    stand_in, client = world("12.1.0")
    inner = client._send

    def send(method: str, url: str, *rest: Any) -> tuple[int, bytes]:
        status, raw = inner(method, url, *rest)
        for path, change in answers.items():
            if url.endswith(path.partition(" ")[2]) and method == path.partition(" ")[0]:
                status, told = change(status, json.loads(raw))
                raw = json.dumps(told).encode()
        return status, raw

    client._send = send
    del stand_in
    return [point.point for point in Contract(client, "uid-1").run() if point.outcome is Outcome.DIFFERS]


@pytest.mark.parametrize(
    ("path", "change", "differs"),
    [
        ("GET /api/health", lambda _s, _t: (200, {}), "tells the version"),
        ("GET /api/org", lambda _s, _t: (200, {"id": "1"}), "of one organisation"),
        ("GET /api/datasources", lambda s, t: (s, [one | {"version": 1} for one in t]), "but the version"),
        ("GET /uid/uid-1", lambda s, t: (s, {k: v for k, v in t.items() if k != "readOnly"}), "readOnly"),
        ("GET /uid/uid-1", lambda s, t: (s, t | {"password": "s3cr3tW0rd"}), "no answer has a password"),
        ("GET /api/frontend/settings", lambda _s, _t: (200, {}), "sqlConnectionLimits"),
        ("GET /health", lambda _s, _t: (500, {}), "health"),
        ("PUT /uid/uid-1", lambda _s, t: (200, t), "too old is refused with 409"),
        ("GET /uid/uid-2", lambda _s, _t: (500, {}), "of another organisation is not found"),
        ("GET /uid/uid-1", lambda s, t: (s, t | {"x": float("nan")}), "changes nothing but the version"),
    ],
)
def test_each_point_can_differ(path: str, change: Any, differs: str) -> None:
    assert any(differs in point for point in careless({path: change}))


@pytest.mark.parametrize(
    "told",
    [None, [], {}, 7, "x", [None, 7, {"type": []}], [{"type": "postgres"}], [{"type": "postgres", "orgId": "x"}]],
)
def test_whatever_answers_is_no_fault_of_the_check(told: Any) -> None:
    client = Client(Access("http://g", ("one", "two")), lambda *_: (200, json.dumps(told).encode()))
    points = Contract(client, "x").run()
    assert Outcome.DIFFERS in {point.outcome for point in points}


def test_a_uid_is_quoted_for_the_route() -> None:
    stand_in, client = world("12.1.0")
    stand_in.store.rows[1].uid = "a b/c"
    assert [point for point in Contract(client, "a b/c").run() if point.outcome is Outcome.DIFFERS] == []


@pytest.mark.skipif(URL is None, reason="PGUSHER_GRAFANA_URL names no live Grafana")
def test_a_live_grafana_keeps_it() -> None:
    client = Client(Access(check_url(URL or ""), read_tokens(None, os.environ)))
    points = Contract(client, os.environ.get("PGUSHER_GRAFANA_WRITE")).run()
    assert [point for point in points if point.outcome is Outcome.DIFFERS] == []
