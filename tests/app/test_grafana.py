"""Another limit, from the command to the sessions on a real server; Grafana's API and its pools are the stand-in's."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from pgusher.app.config import Config, load
from pgusher.app.free import Free
from pgusher.app.free_store import PlanStore
from pgusher.app.grafana import Wish, access, choose, client_of, find, joined, limit_step
from pgusher.app.request import Request
from pgusher.demo.grafana_stand_in import Source, StandIn, serving
from pgusher.errors import ConfigError, RefusedError, UsageError
from pgusher.model.evidence import Gap
from pgusher.model.findings import Diagnosis
from pgusher.model.grafana import DataSource, Grafana, OwnDatabase, Place, Seen
from pgusher.model.grafana_limits import limits
from pgusher.model.plan import Lever, OutcomeKind, Plan, SourceChange
from pgusher.model.values import replace
from pgusher.remedy.plan import Wanted
from tests.bed import Bed
from tests.bed.bed import APP
from tests.collect.grafana.standing import URL

SERVER_SETTINGS = {"max_connections": 30}


class World:
    """The stand-in with a pool of real sessions, and what plans and applies."""

    def __init__(self, bed: Bed, path: Path) -> None:
        self.bed, server = bed, bed.server
        self.stand_in = StandIn("12.1.0", connect=self.connect, disposed_after=0.2)
        told: dict[str, Any] = {
            "url": f"localhost:{server.port}",
            "user": APP,
            "jsonData": {"database": "app", "sslmode": "disable"},
        }
        self.row = self.stand_in.add("Shop", secrets={"password": "s3cr3tW0rd"}, **told)
        self.file = path / "token"
        self.file.write_text(self.stand_in.token() + "\n")
        self.free = Free(
            Request(port=server.port, timeout=10.0),
            PlanStore(str(path / "plans")),
            log=str(path / "log.jsonl"),
            back_within=0.1,
        )
        self.log = path / "log.jsonl"
        self.url = ""

    def connect(self, _row: Source) -> Any:
        return psycopg.connect(self.bed.dsn(), autocommit=True)

    def plan(self, most: int | None) -> Plan:
        asked = access(Wish(self.url, str(self.file)), Config(), {})
        assert asked is not None
        (grafana,) = find(asked[0], ())
        _, source = choose([grafana], "Shop")
        look = self.free.look(lambda _: frozenset(), 0.1)
        step = limit_step(grafana, source, most, asked[0], asked[1], look.snapshots[0])
        return self.free.plan(look.snapshots[0], Diagnosis(), Wanted(), [step])


@pytest.fixture
def world(bed: Bed, tmp_path: Path) -> Iterator[World]:
    made = World(bed, tmp_path)
    with serving(made.stand_in) as made.url:
        yield made
    made.free.close()


def test_a_limit_is_set_and_the_old_pool_goes(world: World) -> None:
    world.stand_in.pools.ask(world.row, 12)
    plan = world.plan(3)
    (step,) = plan.steps
    assert (step.lever, step.slots, step.undo) == (Lever.SOURCE, 9, ("pgusher grafana limit Shop default",))
    assert "12 sessions" in step.why
    applied = world.free.apply(world.free.load(plan.id), plan.steps)
    (outcome,) = applied.outcomes
    assert (outcome.kind, outcome.text) == (OutcomeKind.DONE, "data source Shop may take 3 at most")
    assert outcome.seen_after == "maxOpenConns is 3, version 2; health: Database Connection OK"
    assert applied.good, applied.verdict
    assert applied.verdict.text == f"role {APP} has 1 session in app, 12 before; 12 of 12 of the old pool are gone"
    assert world.row.json_data == {"database": "app", "sslmode": "disable", "maxOpenConns": 3}
    assert (world.row.user, world.row.secrets) == (APP, {"password": "s3cr3tW0rd"})
    assert world.stand_in.pools.ask(world.row, 12).limit == 3
    lines = [json.loads(line) for line in world.log.read_text().splitlines()]
    assert [line["kind"] for line in lines] == ["begin", "intent", "outcome", "end"]
    assert lines[1]["source"]["before"] == ""
    again = world.free.apply(world.free.load(plan.id), plan.steps)
    assert [one.kind for one in again.outcomes] == [OutcomeKind.GONE]
    everything = world.log.read_text() + (world.log.parent / "plans" / f"{plan.id}.json").read_text() + repr(applied)
    assert "s3cr3tW0rd" not in everything
    assert world.file.read_text().strip() not in everything


def test_what_changed_since_the_plan_is_refused(world: World) -> None:
    plan = world.plan(3)
    world.row.json_data["sslmode"], world.row.version = "require", 2
    applied = world.free.apply(world.free.load(plan.id), plan.steps)
    assert [one.kind for one in applied.outcomes] == [OutcomeKind.REFUSED]
    assert "jsonData.sslmode" in applied.outcomes[0].text
    assert not applied.good


def test_a_token_that_is_gone_fails_the_step(world: World) -> None:
    plan = world.plan(3)
    world.file.unlink()
    (outcome,) = world.free.apply(world.free.load(plan.id), plan.steps).outcomes
    assert outcome.kind is OutcomeKind.FAILED
    assert "could not be read: no such file or directory" in outcome.text


def test_one_that_is_provisioned_or_was_seen_in_files_has_no_step(world: World) -> None:
    world.row.read_only = True
    with pytest.raises(RefusedError, match="data source Shop is provisioned: the API cannot change it"):
        world.plan(3)
    look = world.free.look(lambda _: frozenset(), 0.1)
    source = one("u1", "Shop")
    with pytest.raises(RefusedError, match="was seen in files"):
        limit_step(Grafana("/x", None, Seen.FILES, (source,)), source, 3, None, None, look.snapshots[0])


# -- without a server


def one(uid: str, name: str, org: int = 1, **more: Any) -> DataSource:
    found = limits("12.0.0", "postgres", {}, {})
    return DataSource(uid, name, org, "postgres", "db1", 5432, "d", "u", found, **more)


def test_what_is_typed_stands_above_the_environment_and_that_above_the_file(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("glsa_typed\n")
    (tmp_path / "b").write_text("glsa_filed\n")
    config = Config(grafana_url="http://filed:3000", grafana_token_file=str(tmp_path / "b"))
    environment = {"PGUSHER_GRAFANA_URL": "http://said:3000", "PGUSHER_GRAFANA_TOKEN": "glsa_said"}

    def told(wish: Wish, config: Config, environment: dict[str, str]) -> tuple[str, tuple[str, ...], str | None]:
        found = access(wish, config, environment)
        assert found is not None
        return found[0].url, found[0].tokens, found[1]

    typed = Wish("http://typed:3000", str(tmp_path / "a"))
    assert told(typed, config, environment) == ("http://typed:3000", ("glsa_typed",), str(tmp_path / "a"))
    assert told(Wish(), config, environment) == ("http://said:3000", ("glsa_said",), None)
    assert told(Wish(), config, {}) == ("http://filed:3000", ("glsa_filed",), str(tmp_path / "b"))
    assert access(Wish(), Config(), {}) is None
    with pytest.raises(UsageError, match="needs the URL"):
        access(Wish(None, "x"), Config(), {})


def test_the_configuration(tmp_path: Path) -> None:
    path = tmp_path / "pgusher.toml"
    path.write_text('[grafana]\nurl = "http://g:3000"\ntoken_file = "token"\n')
    found = load(str(path))
    assert (found.grafana_url, found.grafana_token_file) == ("http://g:3000", str(tmp_path / "token"))
    for text, expected in (
        ("[grafana]\ntoken = 'x'\n", "unknown key grafana.token"),
        ("[grafana]\nurl = 3\n", "a string"),
    ):
        path.write_text(text)
        with pytest.raises(ConfigError, match=expected):
            load(str(path))


def test_one_that_is_asked_and_runs_here_is_told_once() -> None:
    figure = limits("12.0.0", "postgres", {}, {}).max_open
    own = OwnDatabase("db", 5432, "grafana", "grafana", figure, figure, figure)
    named = Grafana(URL, "12.1.0", Seen.API, (one("u1", "Shop", version=3), one("u2", "Page")))
    here = Grafana(
        "/etc/grafana/grafana.ini",
        None,
        Seen.SQLITE,
        (one("u1", "Shop", place=Place("/p", 2), limit_place=Place("/p", 5)),),
        2,
        "2 processes",
        (7, 8),
        own,
    )
    other = Grafana("/other.ini", None, Seen.FILES, (one("u9", "Till"),))
    whole, rest = joined(named, (other, here))
    assert rest is other
    assert (whole.replicas, whole.processes, whole.own, whole.version) == (2, (7, 8), own, "12.1.0")
    assert [(source.version, source.limit_place) for source in whole.sources] == [(3, Place("/p", 5)), (None, None)]
    assert joined(replace(named, sources=()), (here,)) == (replace(named, sources=()), here)


def test_a_data_source_is_found_by_name_or_uid() -> None:
    grafana = Grafana("g", None, Seen.API, (one("u1", "Shop"), one("u1", "Copy", 2), one("u3", "Till")))
    assert choose([grafana], "Till")[1].uid == "u3"
    assert choose([grafana], "2/u1")[1].name == "Copy"
    assert choose([grafana], "Shop")[1].org == 1
    with pytest.raises(UsageError, match="2 data sources are called 'u1'") as caught:
        choose([grafana], "u1")
    assert caught.value.hint == "name one: 1/u1, 2/u1"
    with pytest.raises(UsageError, match="there is no PostgreSQL data source 'x'"):
        choose([grafana], "x")


def test_one_data_source_of_several_processes_is_one_of_one_configuration_alone() -> None:
    first = Grafana("/g.ini", None, Seen.FILES, (one("u1", "Shop"),), processes=(7,))
    assert choose([first, replace(first, processes=(8,))], "Shop")[0] is first
    with pytest.raises(UsageError) as caught:
        choose([first, replace(first, name="/h.ini")], "1/u1")
    assert caught.value.hint == "/g.ini, /h.ini have it: name one by --grafana-url"


def test_a_grafana_that_tells_nothing_is_not_said_to_have_none() -> None:
    gap = Gap("grafana", "the data sources", "GET /api/datasources: 403", "a token")
    grafana = Grafana("g", None, Seen.API, gaps=(gap,))
    with pytest.raises(RefusedError, match="the data sources could not be read: GET /api/datasources: 403") as caught:
        choose([grafana], "Shop")
    assert caught.value.hint == "a token"
    with pytest.raises(UsageError) as known:
        choose([grafana, Grafana("h", None, Seen.FILES, (one("u1", "Till"),))], "Shop")
    assert (known.value.detail, known.value.hint) == ("the data sources: GET /api/datasources: 403", "there are: Till")


def test_a_step_without_a_token_is_told(tmp_path: Path) -> None:
    change = SourceChange(URL, 1, "u", "Shop", "", 3)
    with pytest.raises(UsageError, match="no token was given for Grafana"):
        client_of(change, {})
    assert client_of(change, {"GRAFANA_TOKEN": "glsa_x"}).tokens == ("glsa_x",)
    assert tmp_path.exists()
