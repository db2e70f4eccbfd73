"""How a limit of a data source is taken back: a line for a shell, whatever a stranger has called things."""

from __future__ import annotations

import shlex

import pytest

from pgusher.model.grafana import DataSource, Grafana, Seen
from pgusher.model.grafana_limits import limits
from pgusher.model.values import replace
from pgusher.remedy.plan.sources import source_step
from tests.surfaces import worlds

POSTGRES = "postgres"


def source(name: str = "Shop", uid: str = "shop", org: int = 1) -> DataSource:
    return DataSource(uid, name, org, POSTGRES, "db1", 5432, "shop", "grafana", limits("12.1.0", POSTGRES, {}, {}))


def undo(before: str, one: DataSource, *others: DataSource) -> str:
    grafana = Grafana("http://grafana:3000", "12.1.0", Seen.API, (one, *others))
    (line,) = source_step(grafana, one, 5, before, (), ()).undo
    return line


@pytest.mark.parametrize("uid", ["x; touch /tmp/x", "$(id)", "a'b", "`id`", "a\nb"])
def test_a_uid_is_one_word_of_the_shell(uid: str) -> None:
    line = undo("8", source("A shop", uid))
    assert shlex.split(line) == ["pgusher", "grafana", "limit", uid, "8"]


@pytest.mark.parametrize("before", ['"$(touch /tmp/x)"', '"15"', "0", "-1", "null", "[1]", "1000000"])
def test_what_pgusher_does_not_set_is_no_command(before: str) -> None:
    line = undo(before, source())
    assert line == f"set maxOpenConns of data source Shop to {before} in Grafana: pgusher sets no such limit"


def test_one_of_two_of_a_name_is_named_by_its_organisation_and_uid() -> None:
    assert undo("8", source(), source(uid="other", org=2)) == "pgusher grafana limit 1/shop 8"
    assert undo("", source()) == "pgusher grafana limit Shop default"
    assert undo("8", source("A shop", uid="")) == "pgusher grafana limit 'A shop' 8"


def test_sessions_of_one_role_are_not_given_back_by_each_of_its_data_sources() -> None:
    first, other = source(), source("Till", "till")
    told = worlds.quiet().slot_sessions[0]
    sessions = [replace(told, pid=pid, user="grafana", database="shop") for pid in range(1, 8)]
    for sources, back, alike in (((first,), 2, 0), ((first, other), 0, 1)):
        grafana = Grafana("http://g", "12.1.0", Seen.API, sources)
        step = source_step(grafana, first, 5, "8", (), sessions)
        assert step.source is not None
        assert (step.slots, step.source.alike) == (back, alike)


def test_sessions_of_another_server_are_not_given_back() -> None:
    told = worlds.quiet().slot_sessions[0]
    sessions = [replace(told, pid=pid, user="grafana", database="shop") for pid in range(1, 8)]
    step = source_step(Grafana("http://g", "12.1.0", Seen.API, (source(),)), source(), 5, "8", (), sessions, here=False)
    assert step.source is not None
    assert (step.slots, step.source.elsewhere) == (0, "db1:5432")
    assert "; it leads to db1:5432, so whether they are its own is not told; both" in step.why
