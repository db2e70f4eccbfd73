"""Every shape that a dashboard has had gives its queries; a torn or hostile one gives a gap, or what is sound in it."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pgusher.collect.grafana.dashboard_json import holds_sql, read_alert_rule, read_dashboard, read_library_element
from pgusher.model.panels import PanelKind
from tests.bed.grafana_corpus import dashboards

PG = {"type": "postgres", "uid": "pg"}


def target(sql: str, **more: Any) -> dict[str, Any]:
    return {"refId": "A", "rawSql": sql, **more}


def panel(number: int, *targets: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"id": number, "title": f"P{number}", "targets": list(targets), **more}


def sqls(body: dict[str, Any]) -> list[tuple[str, str | None]]:
    panels, gap = read_dashboard(body)
    assert gap is None
    return [(one.sql, one.source) for one in panels]


def test_rows_nested_panels_and_what_is_not_postgresql() -> None:
    body = {
        "uid": "d1",
        "title": "Shop",
        "panels": [
            panel(1, target("select 1"), datasource=PG),
            panel(2, {"refId": "A", "expr": "up"}, target("select nope", datasource={"type": "prometheus"})),
            {"type": "row", "id": 3, "panels": [panel(4, target("select 4"), datasource="Old name")]},
            panel(5, target("select 5", datasource=PG), target("select my", datasource={"type": "mysql", "uid": "m"}),
                  datasource={"type": "datasource", "uid": "-- Mixed --"}),
            panel(6, target("select 6"), datasource={"type": "postgres", "uid": "${DS_PG}"}),
            panel(7, target("select 7")),
            panel(8, target("select 8"), datasource={"type": "mysql", "uid": "m"}),
        ],
    }  # fmt: skip
    assert sqls(body) == [
        ("select 1", "pg"),
        ("select 4", "Old name"),
        ("select 5", "pg"),
        ("select 6", None),
        ("select 7", None),
    ]
    first = read_dashboard({"dashboard": body, "meta": {"folderTitle": "Sales"}}, org=3)[0][0]
    assert (first.folder, first.dashboard, first.title, first.ref_id, first.org) == ("Sales", "Shop", "P1", "A", 3)
    assert first.link == "/d/d1?viewPanel=1"
    assert first.place == "Sales / Shop: P1 (A)"


def test_the_rows_of_grafana_4() -> None:
    assert sqls({"title": "Old", "rows": [{"panels": [panel(1, target("select 1"))]}]}) == [("select 1", None)]


def test_the_shape_with_elements() -> None:
    element = {
        "kind": "Panel",
        "spec": {
            "id": 7,
            "title": "New",
            "data": {"kind": "QueryGroup", "spec": {"queries": [
                {"kind": "PanelQuery", "spec": {"refId": "B", "query": {
                    "kind": "DataQuery", "group": "grafana-postgresql-datasource", "datasource": {"name": "pg"},
                    "spec": {"rawSql": "select 7"}}}},
                {"kind": "PanelQuery", "spec": {"refId": "C", "datasource": {"type": "postgres", "uid": "pg2"},
                    "query": {"kind": "postgres", "spec": {"rawSql": "select 8"}}}},
                {"kind": "PanelQuery", "spec": {"refId": "D", "query": {"kind": "loki", "spec": {"rawSql": "x"}}}},
            ]}},
        },
    }  # fmt: skip
    variable = {"kind": "QueryVariable", "spec": {"name": "host", "query": {
        "kind": "DataQuery", "group": "postgres", "spec": {"rawSql": "select host"}}}}  # fmt: skip
    body = {
        "apiVersion": "dashboard.grafana.app/v2beta1",
        "metadata": {"name": "uid-7"},
        "spec": {
            "title": "T",
            "elements": {"panel-7": element, "l": {"kind": "LibraryPanel"}},
            "variables": [variable],
        },
    }
    panels, gap = read_dashboard(body)
    assert gap is None
    assert [(one.kind.value, one.sql, one.source, one.ref_id) for one in panels] == [
        ("panel", "select 7", "pg", "B"),
        ("panel", "select 8", "pg2", "C"),
        ("variable", "select host", None, ""),
    ]
    assert panels[0].link == "/d/uid-7?viewPanel=7"


def test_variables_and_annotations() -> None:
    body = {
        "panels": [],
        "templating": {"list": [
            {"type": "query", "name": "a", "datasource": PG, "query": "select a"},
            {"type": "query", "name": "b", "datasource": PG, "query": {"rawSql": "select b"}},
            {"type": "custom", "name": "c", "query": "select c from x, other"},
            {"type": "custom", "name": "what", "query": "max(x),min(x)", "options": [{"value": "max(x)"}]},
            {"type": "textbox", "name": "typed", "query": ""},
            {"type": "custom", "name": "unit", "query": "km,mi"},
            {"type": "query", "name": "p", "datasource": {"type": "prometheus"}, "query": "label_values(up, job)"},
        ]},
        "annotations": {"list": [
            {"name": "Deploys", "datasource": PG, "rawQuery": "select time, text from deploys"},
            {"name": "New", "datasource": PG, "target": {"rawSql": "select 2"}},
            {"builtIn": 1, "datasource": {"type": "grafana", "uid": "-- Grafana --"}, "name": "Annotations & Alerts"},
        ]},
    }  # fmt: skip
    panels, _ = read_dashboard(body)
    assert [(one.kind, one.title, one.sql) for one in panels] == [
        (PanelKind.VARIABLE, "a", "select a"),
        (PanelKind.VARIABLE, "b", "select b"),
        (PanelKind.ANNOTATION, "Deploys", "select time, text from deploys"),
        (PanelKind.ANNOTATION, "New", "select 2"),
    ]
    assert panels[0].wild == ("c",), "its values are SQL"
    assert panels[0].loose == ("typed", "what")


def test_a_library_panel_and_an_alert_rule() -> None:
    element = {"uid": "lib", "name": "Shared", "meta": {"folderName": "F"},
               "model": {"id": 1, "datasource": PG, "targets": [target("select 1")]}}  # fmt: skip
    (shared,) = read_library_element(element)
    assert (shared.kind, shared.title, shared.folder) == (PanelKind.LIBRARY, "Shared", "F")
    rule = {
        "uid": "r1",
        "title": "Too slow",
        "data": [
            {"refId": "A", "datasourceUid": "pg", "model": {"rawSql": "select count(*) from x"}},
            {"refId": "B", "datasourceUid": "__expr__", "model": {"type": "reduce", "expression": "A"}},
            {"refId": "C", "datasourceUid": "m", "model": {"rawSql": "x", "datasource": {"type": "mysql"}}},
        ],
    }
    (alert,) = read_alert_rule(rule)
    assert (alert.kind, alert.source, alert.place) == (PanelKind.ALERT, "pg", "alert rule Too slow (A)")
    assert alert.link == "/alerting/grafana/r1/view"


def test_titles_are_cleaned_and_lose_their_secrets() -> None:
    hostile = "\x1b[31mred\x1b[0m\npassword=hunter2secret"
    (one,), _ = read_dashboard({"title": hostile, "panels": [panel(1, target("select 1"), title=hostile)]})
    for text in (one.dashboard, one.title, one.place):
        assert "\x1b" not in text
        assert "hunter2secret" not in text


@pytest.mark.parametrize("torn", [None, 7, "x", [], {}, {"dashboard": None}, {"dashboard": []}, {"spec": {"spec": 1}}])
def test_what_is_no_dashboard_is_a_gap_that_names_the_place(torn: object) -> None:
    panels, gap = read_dashboard(torn, where="file x.json")
    assert panels == ()
    assert gap is not None
    assert gap.what == "file x.json"


KEYS = """panels rows targets datasource rawSql title id elements spec data queries query templating list annotations
    target variables type uid name kind model dashboard current value options"""
LEAVES = st.none() | st.integers() | st.text(max_size=3) | st.sampled_from(["postgres", "select $a", "-- Mixed --"])
JSON = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS.split()), inner, max_size=4),
    max_leaves=12,
)


@given(JSON)
def test_no_json_raises(data: object) -> None:
    for one in read_dashboard(data)[0] + read_library_element(data) + read_alert_rule(data):
        assert one.sql.strip()


def test_panels_nested_without_end_are_read_to_a_depth() -> None:
    body: dict[str, Any] = panel(0, target("select 0"))
    for number in range(1, 300):
        body = panel(number, target(f"select {number}"), panels=[body])
    assert 0 < len(read_dashboard({"panels": [body]})[0]) < 20


def test_the_made_up_corpus_is_read_whole_in_each_shape() -> None:
    made = [read_dashboard(one) for one in dashboards(75)]
    assert [gap for _, gap in made] == [None] * 3
    assert [sum(one.kind is PanelKind.PANEL for one in panels) for panels, _ in made] == [25, 25, 25]


def test_a_value_that_is_sql_is_told_from_one_that_is_data() -> None:
    assert holds_sql("select 1")
    assert holds_sql("x; drop table y")
    assert holds_sql("a = 1 ORDER   BY b")
    assert not holds_sql("eu-west-1")
    assert not holds_sql("fromage")


def test_library_panels_of_a_dashboard_that_was_exported() -> None:
    body = {
        "title": "Shop",
        "panels": [{"id": 1, "libraryPanel": {"uid": "lib-1", "name": "Orders"}}],
        "__elements": {
            "lib-1": {"name": "Orders", "kind": 1, "model": {"datasource": PG, "targets": [target("select 1")]}},
            "torn": 7,
        },
    }
    (shared,), gap = read_dashboard(body)
    assert (shared.kind, shared.title, shared.uid, shared.sql, gap) == (
        PanelKind.LIBRARY, "Orders", "lib-1", "select 1", None,
    )  # fmt: skip
    assert read_dashboard({**body, "__elements": []}) == ((), None)
