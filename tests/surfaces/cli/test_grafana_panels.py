"""`pgusher grafana panels` and what `pgusher who` adds, on the stand-in and a server that is not asked by SQL."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from jsonschema import Draft202012Validator

from pgusher.demo.grafana_stand_in import StandIn, serving
from pgusher.surfaces.render.schema import json_schema
from tests.surfaces import worlds
from tests.surfaces.fakes import FakeApp, Look, Result, Shell

SNAPSHOT = worlds.incident()


class World:
    """The incident, and a stand-in with one dashboard."""

    def __init__(self) -> None:
        self.stand_in = StandIn("12.1.0")
        target = {"refId": "A", "rawSql": "select a, b, c from orders", "datasource": {"type": "postgres", "uid": "x"}}
        panel = {"id": 1, "title": "P", "targets": [target]}
        self.stand_in.dashboards[1, "d"] = {"dashboard": {"uid": "d", "title": "D", "panels": [panel]}, "meta": {}}
        self.environ = {"COLUMNS": "110", "LINES": "40", "TERM": "xterm", "NO_COLOR": "1"}

    def run(self, *words: str, terminal: bool = False) -> Result:
        return Shell(FakeApp(Look((SNAPSHOT,))), terminal, self.environ).run(*words)


@pytest.fixture
def world() -> Iterator[World]:
    made = World()
    with serving(made.stand_in) as url:
        made.environ |= {"PGUSHER_GRAFANA_URL": url, "PGUSHER_GRAFANA_TOKEN": made.stand_in.token()}
        yield made


def test_without_sql_each_session_is_counted_and_the_reason_is_told(world: World) -> None:
    holder = next(one for one in SNAPSHOT.holders if one.program == "Grafana")
    result = world.run("grafana", "panels", terminal=True)
    assert result.code == 0
    assert result.out.startswith(f"{len(holder.sessions)} sessions of Grafana's, compared with 1 saved query")
    assert "the server was not asked by SQL" in result.out
    assert "no statement is shown" in result.out


def test_json_keeps_to_the_schema(world: World) -> None:
    told = json.loads(world.run("grafana", "panels", "--slow", "--json").out)
    assert not list(Draft202012Validator(json_schema()).iter_errors(told))
    assert told["kind"] == "grafana_panels"
    assert [one["fit"] for one in told["slots"]] == [None]


def test_a_word_too_many_is_refused(world: World) -> None:
    result = world.run("grafana", "panels", "orders")
    assert result.code == 2
    assert "takes no further word" in result.err


def test_who_adds_the_panels_of_a_grafana_and_of_nothing_else(world: World) -> None:
    assert "compared with 1 saved query" in world.run("who", "grafana", terminal=True).out
    asked = len(world.stand_in.asked)
    assert "saved query" not in world.run("who", "cron", terminal=True).out
    assert len(world.stand_in.asked) == asked, "dashboards are not read for others"


def test_who_says_nothing_of_panels_where_no_dashboard_can_be_read() -> None:
    result = World().run("who", "grafana", terminal=True)
    assert result.code == 1
    assert "saved quer" not in result.out
