"""The stand-in of Grafana's API does what is dangerous about the real one. It proves nothing about the real one."""

from __future__ import annotations

import http.client
import json
from typing import Any

import pytest

from pgusher.demo.grafana_stand_in import StandIn, serving


class Sessions:
    """Counts what is open."""

    def __init__(self) -> None:
        self.open = 0

    def connect(self, _row: object) -> Sessions:
        self.open += 1
        return self

    def close(self) -> None:
        self.open -= 1


class World:
    """A stand-in with one data source and a token, and its clock."""

    def __init__(self, version: str = "12.1.0", **fields: Any) -> None:
        self.now = 100.0
        self.sessions = Sessions()
        self.grafana = StandIn(version, clock=lambda: self.now, connect=self.sessions.connect)
        told: dict[str, Any] = {
            "url": "db1:5432",
            "user": "grafana",
            "jsonData": {"database": "shop", "sslmode": "require"},
        }
        self.row = self.grafana.add("Shop", secrets={"password": "s3cret-W0rd"}, **(told | fields))
        self.token = self.grafana.token()

    def ask(self, method: str, path: str, body: object = None, token: str | None = None) -> tuple[int, Any]:
        headers = {"Authorization": f"Bearer {self.token if token is None else token}"}
        return self.grafana.handle(method, path, headers, json.dumps(body).encode())

    def get(self) -> dict[str, Any]:
        status, told = self.ask("GET", f"/api/datasources/uid/{self.row.uid}")
        assert status == 200
        return dict(told)

    def put(self, body: object, token: str | None = None) -> tuple[int, Any]:
        return self.ask("PUT", f"/api/datasources/uid/{self.row.uid}", body, token)


def test_the_list_has_no_version_and_the_single_one_has() -> None:
    world = World()
    _, listed = world.ask("GET", "/api/datasources")
    assert "version" not in listed[0]
    assert "secureJsonFields" not in listed[0]
    assert (world.get()["version"], world.get()["secureJsonFields"]) == (1, {"password": True})
    assert "s3cret" not in json.dumps([listed, world.get()])


def test_what_is_left_out_is_lost_but_the_password() -> None:
    world = World()
    told = world.get()
    status, _ = world.put({key: told[key] for key in ("name", "type", "access", "version")} | {"jsonData": {"a": 1}})
    assert status == 200
    assert (world.row.user, world.row.json_data) == ("", {"a": 1})
    assert world.row.secrets == {"password": "s3cret-W0rd"}
    assert world.row.url == "db1:5432"


def test_a_stale_version_is_refused_and_none_overwrites() -> None:
    world = World()
    told = world.get()
    assert world.put(told)[0] == 200
    status, answer = world.put(told)
    assert (status, answer["message"].split(".")[0]) == (409, "Datasource has already been updated by someone else")
    del told["version"]
    assert world.put(told)[0] == 200
    assert world.row.version == 1  # and so a version that somebody has read counts again


def test_a_name_that_another_has_is_refused() -> None:
    world = World()
    world.grafana.add("Other", url="db1:5432")
    assert world.put(world.get() | {"name": "Other"})[0] == 409


def test_what_is_provisioned_is_refused() -> None:
    world = World(readOnly=True)
    assert world.put(world.get()) == (403, {"message": "Cannot update read-only data source"})


def test_a_token_may_what_it_may_in_its_organisation() -> None:
    world = World()
    reader, stranger = world.grafana.token(1, {"datasources:read"}), world.grafana.token(2)
    status, answer = world.put(world.get(), reader)
    assert (status, answer["message"].endswith("Permissions needed: datasources:write")) == (403, True)
    assert world.ask("GET", "/api/datasources", token=stranger) == (200, [])
    assert world.put(world.get(), stranger)[0] == 404
    assert world.ask("GET", "/api/datasources", token="glsa_wrong")[0] == 401
    assert world.grafana.handle("GET", "/api/datasources", {}) == (401, {"message": "Unauthorized", "statusCode": 401})


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"{}", b'{"name": "", "type": "x", "access": "y"}', b"null"])
def test_a_body_that_is_none_is_refused(body: bytes) -> None:
    world = World()
    headers = {"Authorization": f"Bearer {world.token}"}
    assert world.grafana.handle("PUT", f"/api/datasources/uid/{world.row.uid}", headers, body)[0] == 400


def test_both_pools_exist_for_a_moment_after_an_update() -> None:
    world = World()
    world.grafana.pools.ask(world.row, 60)
    assert world.sessions.open == 60
    told = world.get()
    told["jsonData"]["maxOpenConns"] = 10
    world.now += 1
    world.put(told)
    assert world.sessions.open == 60  # nothing has asked the new one yet
    assert world.ask("GET", f"/api/datasources/uid/{world.row.uid}/health") == (
        200,
        {"message": "Database Connection OK", "status": "OK"},
    )
    world.grafana.pools.ask(world.row, 60)
    assert world.sessions.open == 70
    world.now += 5
    assert world.grafana.pools.open(world.row) == world.sessions.open == 10


def test_old_versions_have_no_route_by_uid_and_show_a_plain_password() -> None:
    world = World("7.5.0", password="plain-W0rd")
    assert world.ask("GET", f"/api/datasources/uid/{world.row.uid}")[0] == 404
    status, told = world.ask("GET", f"/api/datasources/{world.row.id}")
    assert (status, told["password"]) == (200, "plain-W0rd")
    del told["password"]
    world.ask("PUT", f"/api/datasources/{world.row.id}", told)
    assert world.row.password == ""


def test_dashboards_of_an_organisation_come_in_pages() -> None:
    world = World()
    for number in range(5):
        world.grafana.dashboards[1, f"d{number}"] = {"dashboard": {"title": f"T{number}"}, "meta": {}}
    world.grafana.dashboards[2, "other"] = {"dashboard": {}, "meta": {}}
    _, first = world.ask("GET", "/api/search?type=dash-db&limit=3")
    _, second = world.ask("GET", "/api/search?type=dash-db&limit=3&page=2")
    assert [one["title"] for one in first + second] == ["T0", "T1", "T2", "T3", "T4"]
    assert world.ask("GET", "/api/dashboards/uid/d1")[1]["dashboard"]["title"] == "T1"
    assert world.ask("GET", "/api/dashboards/uid/other")[0] == 404


def test_it_speaks_http() -> None:
    world = World()
    with serving(world.grafana) as url:
        line = http.client.HTTPConnection(url.removeprefix("http://"), timeout=10)
        line.request("GET", "/api/health")
        assert json.load(line.getresponse())["version"] == "12.1.0"
        line.request("GET", "/api/org", headers={"Authorization": f"Bearer {world.token}"})
        assert json.load(line.getresponse())["id"] == 1
        line.close()
