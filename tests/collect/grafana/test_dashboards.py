"""Saved queries by the stand-in of Grafana's API, out of an embedded database made like Grafana's, and out of files."""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pgusher.collect.grafana.client import Access, Client
from pgusher.collect.grafana.dashboards import read_api_panels
from pgusher.collect.grafana.saved import read_database, read_files
from pgusher.demo.grafana_stand_in import StandIn, serving
from tests.bed.grafana_corpus import dashboards

PG = {"type": "postgres", "uid": "pg"}
ELEMENT = {"uid": "lib", "name": "Shared", "kind": 1,
           "model": {"datasource": PG, "targets": [{"refId": "A", "rawSql": "select shared"}]}}  # fmt: skip
RULE = {
    "uid": "r",
    "title": "Slow",
    "data": [{"refId": "A", "datasourceUid": "pg", "model": {"rawSql": "select rule"}}],
}


def simple(uid: str, sql: str) -> dict[str, Any]:
    panel = {"id": 1, "title": "P", "datasource": PG, "targets": [{"refId": "A", "rawSql": sql}]}
    return {"dashboard": {"uid": uid, "title": uid.upper(), "panels": [panel]}, "meta": {}}


@pytest.fixture
def stand_in() -> Iterator[tuple[StandIn, str]]:
    made = StandIn("12.1.0")
    for number, one in enumerate(dashboards(60)):
        made.dashboards[1, f"dash-{number}"] = one
    made.dashboards[2, "other"] = simple("other", "select other")
    made.pages["/api/library-elements"] = lambda org, _query: (
        200,
        {"result": {"totalCount": 1, "elements": [ELEMENT] if org == 1 else []}},
    )
    made.pages["/api/v1/provisioning/alert-rules"] = lambda org, _query: (200, [RULE] if org == 1 else [])
    with serving(made) as url:
        yield made, url


def test_by_the_api_organisation_by_organisation(stand_in: tuple[StandIn, str]) -> None:
    made, url = stand_in
    facts = read_api_panels(Client(Access(url, (made.token(1), made.token(2)))))
    assert facts.gaps == ()
    assert facts.dashboards == 4
    assert len([one for one in facts.panels if one.title.startswith("Panel ")]) == 60
    assert {one.sql for one in facts.panels if one.org == 2} == {"select other"}
    assert {one.kind.value for one in facts.panels} == {"panel", "library panel", "alert rule", "variable"}
    assert all(method == "GET" for method, _ in made.asked)


def test_what_a_token_may_not_see_is_a_gap_with_the_permission(stand_in: tuple[StandIn, str]) -> None:
    made, url = stand_in
    facts = read_api_panels(Client(Access(url, (made.token(1, ()),))))
    assert [gap.what for gap in facts.gaps] == ["the dashboards of organisation 1"]
    assert facts.gaps[0].opens == "a service account with the permission dashboards:read"
    assert [one.title for one in facts.panels] == ["Shared", "Slow"]
    assert "no token was given" in read_api_panels(Client(Access(url))).gaps[0].why


def test_torn_dashboards_are_gaps_and_the_others_are_read(stand_in: tuple[StandIn, str]) -> None:
    made, url = stand_in
    made.dashboards[2, "torn"] = {"dashboard": {}}
    facts = read_api_panels(Client(Access(url, (made.token(2),))))
    assert [one.sql for one in facts.panels] == ["select other"]
    assert [gap.what for gap in facts.gaps] == ["dashboard torn"]


def test_a_slow_grafana_is_left_in_time(stand_in: tuple[StandIn, str]) -> None:
    made, url = stand_in
    ticks = iter(range(1000))
    facts = read_api_panels(Client(Access(url, (made.token(1),))), clock=lambda: float(next(ticks)), within=3.5)
    assert facts.gaps[-1].what == "the dashboards of organisation 1, in part"
    assert len(made.asked) == 3


def database(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path)
    connection.executescript(
        """create table dashboard (id integer primary key, org_id int, uid text, title text, data text, folder_id int,
             is_folder int);
           create table resource ("group" text, resource text, namespace text, name text, value text);
           create table library_element (org_id int, uid text, name text, kind int, model text);
           create table alert_rule (org_id int, uid text, title text, data text);"""
    )
    return connection


def test_out_of_the_embedded_database(tmp_path: Path) -> None:
    path = tmp_path / "grafana.db"
    connection = database(path)
    body = simple("d1", "select one")["dashboard"]
    rows = [(1, 1, "f", "Folder\x1b[1m", "{}", 0, 1), (2, 1, "d1", "D", json.dumps(body), 1, 0),
            (3, 2, "d2", "Torn", '{"panels": [', 0, 0)]  # fmt: skip
    connection.executemany("insert into dashboard values (?, ?, ?, ?, ?, ?, ?)", rows)
    resource = {"apiVersion": "v2", "metadata": {"name": "n"}, "spec": simple("", "select resource")["dashboard"]}
    connection.execute(
        "insert into resource values ('dashboard.grafana.app', 'dashboards', 'org-3', 'n', ?)", [json.dumps(resource)]
    )
    connection.execute("insert into library_element values (1, 'lib', 'Shared', 1, ?)", [json.dumps(ELEMENT["model"])])
    connection.execute("insert into alert_rule values (1, 'r', 'Slow', ?)", [json.dumps(RULE["data"])])
    connection.commit()
    connection.close()
    before = path.read_bytes()
    facts = read_database(str(path))
    assert [(one.org, one.sql) for one in facts.panels] == [
        (1, "select one"),
        (3, "select resource"),
        (1, "select shared"),
        (1, "select rule"),
    ]
    assert facts.panels[0].folder.startswith("Folder")
    assert "\x1b" not in facts.panels[0].folder
    assert [gap.what for gap in facts.gaps] == ["dashboard d2 in grafana.db"]
    assert path.read_bytes() == before
    assert os.listdir(tmp_path) == ["grafana.db"]


@pytest.mark.parametrize("content", [b"", b"no database", b"SQLite format 3\0" + b"x" * 5000, None])
def test_what_is_no_database_is_a_gap(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "grafana.db"
    if content is not None:
        path.write_bytes(content)
    facts = read_database(str(path))
    assert facts.panels == ()
    assert len(facts.gaps) == (0 if content == b"" else 1)


def test_files_of_provisioned_dashboards(tmp_path: Path) -> None:
    providers = tmp_path / "etc/grafana/provisioning/dashboards"
    providers.mkdir(parents=True)
    (providers / "all.yaml").write_text(
        "apiVersion: 1\nproviders:\n  - name: shop\n    folder: Sales\n    type: file\n    options:\n"
        "      path: /var/lib/dashboards  # ours\n"
    )
    (providers / "quoted.yml").write_text("providers:\n  - options:\n      path: '/more here'\n")
    for directory in ("var/lib/dashboards/deeper", "more here"):
        (tmp_path / directory).mkdir(parents=True)
    (tmp_path / "var/lib/dashboards/a.json").write_text(json.dumps(simple("a", "select a")["dashboard"]))
    (tmp_path / "var/lib/dashboards/deeper/b.json").write_text(json.dumps(simple("b", "select b")["dashboard"]))
    (tmp_path / "var/lib/dashboards/torn.json").write_text('{"panels": [')
    (tmp_path / "more here/c.json").write_text(json.dumps(simple("c", "select c")["dashboard"]))
    facts = read_files(str(tmp_path), "/etc/grafana/provisioning")
    assert [one.sql for one in facts.panels] == ["select a", "select b", "select c"]
    assert [gap.what for gap in facts.gaps] == ["file /var/lib/dashboards/torn.json"]
    assert read_files(str(tmp_path), "/nowhere").panels == ()
