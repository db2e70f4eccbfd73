"""`pgusher budget` from the command line: its words, formats and exit codes."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from pgusher.app.config import load
from pgusher.errors import ConfigError
from pgusher.model.budget import Declared
from pgusher.model.evidence import Gap
from pgusher.model.snapshot import Snapshot
from pgusher.model.values import replace
from pgusher.surfaces.render.schema import json_schema
from tests.attribute.builders import World
from tests.budget.sheets import gunicorn, pool, snapshot
from tests.surfaces import worlds
from tests.surfaces.fakes import FakeApp, Look, Result, Shell


def web(workers: int = 2) -> Snapshot:
    world = World()
    _, made = gunicorn(world, workers)
    return snapshot(world, [pool(one) for one in made])


def shell(*snapshots: Snapshot, declared: tuple[Declared, ...] = ()) -> Shell:
    app = FakeApp(Look(snapshots, 1.0))
    app.configuration = replace(app.configuration, budgets=declared, path="/etc/pgusher/pgusher.toml")
    return Shell(app)


def checked(result: Result) -> Any:
    data = json.loads(result.out)
    jsonschema.validate(data, json_schema())
    return data


def test_the_table_ends_with_one_when_more_may_be_taken_than_there_is() -> None:
    good = shell(web()).run("budget")
    assert (good.code, good.err) == (0, "")
    assert "status\tfits\tthe holders may take 20 of 97 slots: 77 left" in good.out
    bad = shell(web(12)).run("budget")
    assert bad.code == 1
    assert "status\ttoo much\tthe holders may take 120 of 97 slots: 23 too many" in bad.out


def test_the_json_fits_its_schema_and_tells_all() -> None:
    data = checked(shell(web(12), worlds.half_blind()).run("budget", "--json"))
    first = data["budgets"][0]
    assert (first["may_take"], first["ordinary"], first["over"], first["fits"]) == (120, 97, 23, False)
    assert first["holders"][0]["may"]["source"] == "12 processes x 10 (max_size, by their ledgers)"


@pytest.mark.parametrize("world", [worlds.incident, worlds.half_blind, worlds.quiet])
def test_it_says_something_of_any_server(world: Any) -> None:
    checked(shell(world()).run("budget", "--json"))
    assert shell(world()).run("budget", "--width", "60", "--all").out


def test_a_check_of_files_needs_no_server() -> None:
    declared = (Declared("web", 60, place="/etc/pgusher/pgusher.toml: budget.web"), Declared("jobs", 30))
    ran = shell(declared=declared).run("budget", "check", "--max-connections", "100")
    assert ran.code == 0
    assert ran.app.requests == []
    assert "the holders may take 90 of 97 slots: 7 left" in ran.out
    assert shell(declared=declared).run("budget", "check", "--max-connections", "92").code == 1
    assert shell(declared=declared).run("budget", "check", "--max-connections", "92", "--reserved", "2").code == 0


def test_a_check_reads_files_of_pgbouncer_and_grafana(tmp_path: Path) -> None:
    ini = tmp_path / "pgbouncer.ini"
    ini.write_text("[databases]\nshop = host=h user=web pool_size=50\n")
    sources = tmp_path / "root/etc/grafana/provisioning/datasources"
    sources.mkdir(parents=True)
    (sources / "pg.yaml").write_text(
        "apiVersion: 1\ndatasources:\n  - name: shop\n    type: postgres\n    url: db:5432\n    user: g\n"
        "    jsonData:\n      maxOpenConns: 45\n"
    )
    words = ("budget", "check", "--max-connections", "100", "--pgbouncer", str(ini))
    assert shell().run(*words).code == 0
    ran = shell().run(*words, "--grafana", str(tmp_path / "root"))
    assert ran.code == 0, ran.out
    assert "95 of 97" in ran.out
    assert shell().run(*words, "--grafana", str(tmp_path / "root"), "--reserved", "10").code == 1
    (sources / "broken.yaml").write_text("x: [\n")
    ran = shell().run(*words, "--grafana", str(tmp_path / "root"))
    assert ran.code == 2, "a sum without what could not be read would fit by mistake"
    assert f"{sources}/broken.yaml: it is no YAML: line 2" in ran.err
    for flag, value in (("--pgbouncer", str(tmp_path / "none.ini")), ("--grafana", str(tmp_path / "none"))):
        failed = shell().run("budget", "check", "--max-connections", "100", flag, value)
        assert failed.code == 2
        assert failed.err.startswith(f"pgusher: {value}: ")


def test_github_gets_one_command_a_line_with_file_and_line(tmp_path: Path) -> None:
    ini = tmp_path / "bouncer.ini"
    ini.write_text("[databases]\nshop = host=h user=web pool_size=500\n")
    ran = shell().run("budget", "check", "--max-connections", "100", "--pgbouncer", str(ini), "--format", "github")
    assert ran.code == 1
    assert ran.out == "::error title=pgusher budget::the holders may take 500 of 97 slots: 403 too many\n"
    world = World()
    gunicorn(world)
    ran = shell(snapshot(world)).run("budget", "check", "--format", "github")
    assert ran.code == 0
    assert ran.out.startswith("::warning title=pgusher budget::what unit/orders-api may take is not known: ")
    assert shell(snapshot(world)).run("budget", "check", "--strict", "--format", "github").code == 1


def test_a_message_stands_at_the_data_source_that_has_no_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    sources = tmp_path / "etc/grafana/provisioning/datasources"
    sources.mkdir(parents=True)
    lines = ["datasources:"]
    for name, most in (("a", 5), ("b", 0)):
        lines += [
            f"  - name: {name}",
            "    type: postgres",
            "    url: db",
            "    jsonData:",
            f"      maxOpenConns: {most}",
        ]
    (sources / "pg.yaml").write_text("\n".join(lines))
    (tmp_path / "usr/share/grafana").mkdir(parents=True)
    (tmp_path / "usr/share/grafana/VERSION").write_text("11.0.0")
    for root, place in ((".", ""), (str(tmp_path), f"{tmp_path}/")):
        ran = shell().run("budget", "check", "--max-connections", "100", "--grafana", root, "--format", "github")
        assert ran.code == 1
        assert ran.out.startswith(f"::error file={place}etc/grafana/provisioning/datasources/pg.yaml,line=11,title=")


def test_a_sum_without_what_could_not_be_read_says_so_and_is_no_strict_pass() -> None:
    seen = web()
    gap = Gap("grafana", "the data sources", "GET /api/datasources: 403", "a token")
    mine = shell(replace(seen, facts=replace(seen.facts, gaps=(gap, Gap("sockets", "x", "denied", "")))))
    said = "the sum is without what could not be read: the data sources: GET /api/datasources: 403"
    ran = mine.run("budget", "check", "--format", "github")
    assert (ran.code, ran.out.splitlines()[0]) == (0, f"::warning title=pgusher budget::{said}")
    ran = mine.run("budget", "check", "--strict", "--format", "github")
    assert (ran.code, f"::error title=pgusher budget::{said}\n" in ran.out) == (1, True)
    root = ET.fromstring(mine.run("budget", "check", "--strict", "--format", "junit").out)  # noqa: S314 - it is our own
    failed = [case.get("name") for case in root.iter("testcase") if case.find("failure") is not None]
    assert (failed, root.get("failures")) == (["not read: the data sources"], "1")


def test_junit_is_xml_whatever_the_holders_are_called() -> None:
    evil = Declared("x", 200, holder='a"<&>\x00\x1b\udc80]]>', place="p\n::error")
    ran = shell(declared=(evil,)).run("budget", "check", "--max-connections", "100", "--format", "junit")
    root = ET.fromstring(ran.out)  # noqa: S314 - it is our own
    assert (ran.code, root.get("failures")) == (1, "1")
    assert [case.find("failure") is not None for case in root.iter("testcase")] == [True, False]
    assert (
        shell(declared=(evil,)).run("budget", "check", "--max-connections", "100", "--format", "github").out.count("\n")
        == 1
    )


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("budget", "chek"), '"chek" is nothing that pgusher budget does'),
        (("budget", "check", "twice"), 'unexpected word "twice"'),
        (("budget", "--max-connections", "100"), "--max-connections is about pgusher budget check"),
        (("budget", "check", "--grafana", "/"), "--grafana is about pgusher budget check --max-connections N"),
        (("budget", "check", "--max-connections", "9", "-h", "db"), "--max-connections is about a check of files"),
        (("budget", "check", "--max-connections", "3"), "--reserved 3 leaves none of 3 connections"),
        (("budget", "check", "--max-connections", "100"), "nothing says what the holders may take"),
    ],
)
def test_what_is_asked_wrongly_is_one_message(words: tuple[str, ...], message: str) -> None:
    ran = shell(web()).run(*words)
    assert ran.code == 2
    assert ran.err.startswith(f"pgusher: {message}")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[budget.web]\nhosts = 2\n", "budget.web: total: expected a number from 1"),
        ('[budget.web]\ntotal = "40"\n', "budget.web.total: expected a whole number"),
        ("[budget.web]\ntotal = 40\nhost = 2\n", "budget.web: unknown key 'host'"),
        ("[budget.web]\ntotal = 1\nhosts = 2\n", "budget.web: a total of 1 is not one for each of 2 hosts"),
        ("[budget.web]\ntotal = 4\nminimum = 5\n", "budget.web.minimum: expected a number from 0"),
        ("[budget]\nweb = 40\n", "budget.web: expected a table"),
        ("[budget.web\n", "cannot be read as TOML"),
    ],
)
def test_a_broken_configuration_is_told_with_its_place(text: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "pgusher.toml"
    path.write_text(text)
    with pytest.raises(ConfigError) as raised:
        load(str(path))
    assert str(raised.value).startswith(f"{path}: {message}")


def test_what_is_configured_is_declared(tmp_path: Path) -> None:
    path = tmp_path / "pgusher.toml"
    path.write_text('[budget.web]\ntotal = 40\nhosts = 2\nholder = "unit/shop"\nminimum = 2\n')
    assert load(str(path)).budgets == (Declared("web", 40, 2, 2, "unit/shop", None, f"{path}: budget.web"),)


def test_a_plan_tells_its_arithmetic_and_what_is_to_be_done_by_hand() -> None:
    ran = shell(web(12)).run("budget", "plan")
    assert ran.code == 0
    assert "arithmetic\t97 for ordinary roles - 3 for people - 7 for a rolling deploy (one process of " in ran.out
    assert "by hand\tunit/orders-api: the pool orders in its code or configuration: max_size 7 instead of 10" in ran.out
    assert "instead\traising max_connections is not the answer yet: what the holders really used fits" in ran.out
    data = checked(shell(web(12)).run("budget", "plan", "--json"))
    assert data["proposals"][0]["limits"] == [{"role": "app", "limit": 84}]
    assert shell(web(12)).run("budget", "plan", "--width", "60").code == 0


@pytest.mark.parametrize("world", [worlds.incident, worlds.half_blind, worlds.quiet])
def test_a_plan_is_made_for_any_server_whose_ceilings_are_known(world: Any) -> None:
    ran = shell(world()).run("budget", "plan", "--json")
    assert ran.code in (0, 1, 3)
    if ran.code != 3:
        checked(ran)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("budget", "apply", "--from", "x.json"), "--from is about a look: budget apply changes a server"),
        (("budget", "plan", "--timeouts", "web"), "--timeouts is about pgusher budget apply"),
        (("budget", "plan", "--strict"), "--strict is about pgusher budget check"),
    ],
)
def test_what_is_asked_of_a_plan_wrongly_is_one_message(words: tuple[str, ...], message: str) -> None:
    ran = shell(web()).run(*words)
    assert (ran.code, ran.err.splitlines()[0]) == (2, f"pgusher: {message}")


def test_sizing_says_what_is_used_of_what_may_be() -> None:
    data = checked(shell(web()).run("budget", "sizing", "--json"))
    assert data["pools"][0]["text"].startswith("unit/orders-api uses at most 4 of 20 (2 x max_size 10)")
    assert shell(web()).run("budget", "sizing", "--width", "60").code == 0
    assert "no pool of pgusher's own" in shell(snapshot(World())).run("budget", "sizing", "--width", "80").out
