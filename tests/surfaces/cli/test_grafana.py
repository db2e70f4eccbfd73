"""`pgusher grafana` on the stand-in: the table, the plan, the patch, the contract; and what may not be seen."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from pgusher.demo.grafana_stand_in import StandIn, serving
from pgusher.errors import UnreachableError
from pgusher.model.evidence import Certainty
from pgusher.model.findings import Diagnosis, Finding, Severity
from pgusher.model.plan import Lever
from pgusher.model.values import replace
from pgusher.surfaces.render.schema import json_schema
from tests.surfaces import worlds
from tests.surfaces.cli.test_free import FakeFree
from tests.surfaces.fakes import FakeApp, Look, Result, Shell

VALIDATOR = Draft202012Validator(json_schema())
SNAPSHOT = worlds.quiet()


class World:
    """A stand-in with two data sources, and a shell that knows its URL."""

    def __init__(self, path: Path) -> None:
        self.stand_in = StandIn("12.1.0")
        self.stand_in.add(
            "Shop",
            url=f"localhost:{SNAPSHOT.facts.server.port}",
            user="app",
            jsonData={"database": "shop"},
            secrets={"password": "s3cr3tW0rd"},
        )
        self.stand_in.add("Till", url="db9:5432", user="till", jsonData={"maxOpenConns": 9}, readOnly=True)
        self.token = self.stand_in.token()
        self.app = FakeApp(Look((SNAPSHOT,)))
        self.path = path
        self.environ: dict[str, str] = {"COLUMNS": "110", "LINES": "40", "TERM": "xterm", "NO_COLOR": "1"}

    def run(self, *words: str, terminal: bool = False) -> Result:
        return Shell(self.app, terminal, self.environ).run("grafana", *words)


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path)
    with serving(made.stand_in) as url:
        made.environ |= {"PGUSHER_GRAFANA_URL": url, "PGUSHER_GRAFANA_TOKEN": made.token}
        yield made


def test_the_table_says_where_each_figure_is_from(world: World) -> None:
    result = world.run(terminal=True)
    assert result.code == 0
    lines = result.out.splitlines()
    assert lines[0].startswith("Grafana 12.1.0, http://127.0.0.1:")
    said = (
        "its 2 data sources may take together 109 sessions; to the server that was looked at 1 of them leads with 100 "
    )
    assert " ".join(lines[1:3]).startswith(f"{said}sessions, and it has ")
    assert [line.split()[0] for line in lines[5:7]] == ["Shop", "Till"]
    assert "  Shop: 100 by the default, as /api/frontend/settings tells" in lines
    assert "  Till: 9 by jsonData of the data source, provisioned" in lines
    assert "pgusher grafana limit Shop " in result.out
    assert "s3cr3tW0rd" not in result.out
    assert world.token not in result.out + result.err


def test_what_leads_to_another_server_is_not_held_against_this_one(world: World) -> None:
    world.stand_in.add("There", url="10.9.9.9:6432", user="app", jsonData={"database": "shop"})
    text = " ".join(world.run(terminal=True).out.split())
    assert (
        "its 3 data sources may take together 209 sessions; to the server that was looked at 1 of them leads " in text
    )
    assert "leads with 100 sessions, and it has " in text
    assert "pgusher grafana limit There" not in text
    by_name = {one["name"]: one["sessions"] for one in json.loads(world.run("--json").out)["grafanas"][0]["sources"]}
    assert by_name["There"] is None


def test_findings_about_grafana_are_shown_and_are_the_exit_code(world: World) -> None:
    mine = Finding("grafana-x", Severity.WARNING, Certainty.PROVEN, "k", "its data sources may take 109 of 97 slots")
    other = replace(mine, rule="stuck-job", message="another")
    world.app.diagnoses[SNAPSHOT.facts.server.port] = Diagnosis((mine, other))
    result = world.run(terminal=True)
    assert result.code == 1
    assert "warning   its data sources may take 109 of 97 slots" in result.out
    assert "another" not in result.out


def test_in_a_pipe_nothing_is_cut(world: World) -> None:
    result = world.run()
    heading, shop, till = result.out.splitlines()[-3:]
    told = dict(zip(heading.split("\t"), shop.split("\t"), strict=True))
    assert (told["data source"], told["max open"], told["lifetime s"], told["read only"]) == (
        "Shop",
        "100",
        "14400",
        "no",
    )
    assert till.split("\t")[15] == "yes"


def test_json_keeps_its_schema(world: World) -> None:
    told = json.loads(world.run("--json").out)
    VALIDATOR.validate(told)
    (grafana,) = told["grafanas"]
    assert grafana["may_take"] == 109
    assert [one["max_open"]["value"] for one in grafana["sources"]] == [100, 9]
    check = json.loads(world.run("check", "--json").out)
    VALIDATOR.validate(check)
    assert {one["outcome"] for one in check["checks"]} == {"holds", "not asked"}
    patch = json.loads(world.run("limit", "Till", "4", "--json").out)
    VALIDATOR.validate(patch)
    assert (patch["before"], patch["after"], patch["diff"]) == (9, 4, "")


def test_without_a_server_the_data_sources_are_shown_all_the_same(world: World) -> None:
    world.app.looks = [UnreachableError("no PostgreSQL server was found on this host")]
    result = world.run(terminal=True)
    assert result.code == 0
    assert "its 2 data sources may take together 109 sessions\n" in result.out
    assert "no server was looked at: no PostgreSQL server was found" in result.err


def test_a_wrong_token_is_a_gap(world: World) -> None:
    world.environ["PGUSHER_GRAFANA_TOKEN"] = "glsa_wrong"
    result = world.run(terminal=True)
    assert "no PostgreSQL data source was seen" in result.out
    assert "401: Invalid API key" in result.out
    assert "glsa_wrong" not in result.out


def test_a_limit_is_a_plan(world: World, tmp_path: Path) -> None:
    freeing: Any = FakeFree(
        'slots = 20\n[[process]]\nargv = "x"\nsessions = [{ count = 2, state = "active" }]', tmp_path
    )
    world.app.freeing = freeing
    freeing.close = lambda: None
    result = world.run("limit", "Shop", "10", terminal=True)
    assert result.code == 0, result.err
    assert "let data source Shop take 10 sessions at most; before: its default" in result.out
    assert "maxOpenConns not set -> 10" in result.out
    (name,) = freeing.store.names()
    assert f"pgusher free --apply {name}" in result.out
    (step,) = freeing.store.load(name).steps
    assert (step.lever, step.source.after, step.source.token_file) == (Lever.SOURCE, 10, None)
    assert world.token not in (tmp_path / "plans" / f"{name}.json").read_text()
    (tmp_path / "plans" / f"{name}.json").unlink()
    told = json.loads(world.run("limit", "Shop", "default", "--json").out)
    VALIDATOR.validate(told)
    assert told["steps"][0]["source"]["after"] is None
    assert world.stand_in.store.rows[1].json_data == {"database": "shop"}


def test_what_is_provisioned_gets_the_change_and_the_role(world: World) -> None:
    result = world.run("limit", "Till", "4", terminal=True)
    assert result.code == 0
    assert "data source Till is not changed by pgusher: it is provisioned" in result.out
    assert "in jsonData of data source Till: maxOpenConns: 4" in result.out
    assert "pgusher free --limit till=4" in result.out
    world.stand_in.add("Store", url="db9:5432", user="till", jsonData={"maxOpenConns": 20})
    assert "pgusher free --limit till=24" in world.run("limit", "Till", "4", terminal=True).out, "the role is of both"


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["limit", "Shop"], "takes a data source and a number"),
        (["limit", "Shop", "0"], "expected a number of sessions from 1, or default"),
        (["limit", "Shop", "-3"], "unknown option"),
        (["limit", "Nothing", "3"], "there is no PostgreSQL data source 'Nothing'"),
        (["limits"], '"limits" is nothing that pgusher grafana does'),
        (["check", "x"], "takes no further word"),
        (["--grafana-url", "x"], "the URL of Grafana is none"),
        (["--grafana-token-file", "/nonexistent"], "could not be read: no such file or directory"),
    ],
)
def test_mistakes(world: World, words: list[str], expected: str) -> None:
    result = world.run(*words)
    assert result.code == 2
    assert expected in result.err


def test_the_contract(world: World) -> None:
    result = world.run("check", "--write", "uid-1", terminal=True)
    assert result.code == 0
    assert result.out.startswith("9 of 10 points hold, 0 differ: ")
    world.stand_in.version = "nonsense.1"
    world.stand_in.store.rows[1].secrets.clear()
    world.stand_in.tokens.clear()
    assert world.run("check").code == 1


def test_without_any_grafana_it_says_how_one_is_named(world: World) -> None:
    del world.environ["PGUSHER_GRAFANA_URL"]
    result = world.run()
    assert (result.code, "no Grafana was found" in result.err) == (2, True)
    assert "PGUSHER_GRAFANA_URL=" in result.err
    assert world.run("check").code == 2


def test_the_next_command_names_the_same_grafana(world: World, tmp_path: Path) -> None:
    url = world.environ.pop("PGUSHER_GRAFANA_URL")
    (tmp_path / "my token").write_text(world.token)
    result = world.run("--grafana-url", url, "--grafana-token-file", str(tmp_path / "my token"), terminal=True)
    assert f"--grafana-url {url} --grafana-token-file '{tmp_path}/my token'" in result.out
