"""The panel of a session in every look: a real server and the stand-in's API, with a program that is called grafana.

That program is Python under another name: a stand-in, as no Grafana can run here. Its session is a real one.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Iterator
from pathlib import Path

import pytest

from pgusher.app import panel_links
from pgusher.app.store import read, save
from pgusher.demo.grafana_stand_in import StandIn, serving
from pgusher.demo.server import EmbeddedServer
from pgusher.model.holder import LinkKind
from pgusher.model.panels import Fit
from pgusher.model.snapshot import Snapshot
from tests.app.test_served_holder import SQL, stand_in
from tests.bed.bed import APP, MONITOR
from tests.live.looking import looking

SENDER = """
import sys, psycopg
one = psycopg.connect(sys.argv[1], autocommit=True)
one.execute(sys.stdin.readline().encode())
print(one.info.backend_pid, flush=True)
sys.stdin.read()
"""


class World:
    """A program called grafana with one session, and the stand-in that its environment names."""

    def __init__(self, server: EmbeddedServer, directory: Path) -> None:
        self.server = server
        program = directory / "grafana"
        shutil.copy2(os.path.realpath(sys.executable), program)
        libraries = sysconfig.get_config_var("LIBDIR") or ""
        env = {**os.environ, "PYTHONHOME": sys.base_prefix, "LD_LIBRARY_PATH": libraries,
               "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}  # fmt: skip
        argv = [str(program), "-c", SENDER, server.dsn(APP, "app")]
        self.process = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=env)
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(SQL + "\n")
        self.process.stdin.flush()
        self.pid = int(self.process.stdout.readline())

    def panel(self, snapshot: Snapshot) -> str | None:
        (chain,) = (one for one in snapshot.chains if one.pid == self.pid)
        return next((link.subject for link in chain.links if link.kind is LinkKind.PANEL), None)

    def close(self) -> None:
        self.process.communicate("")


@pytest.fixture(scope="module")
def world(server: EmbeddedServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    made = World(server, tmp_path_factory.mktemp("grafana"))
    yield made
    made.close()


@pytest.fixture
def api(world: World, monkeypatch: pytest.MonkeyPatch) -> Iterator[StandIn]:
    made = stand_in(world.server.port)
    with serving(made) as url:
        monkeypatch.setenv("PGUSHER_GRAFANA_URL", url)
        monkeypatch.setenv("PGUSHER_GRAFANA_TOKEN", made.token())
        yield made


def test_a_look_links_the_session_to_its_panel_and_keeps_what_it_read(world: World, api: StandIn) -> None:
    with looking(world.server, panels=True) as looker:
        (first,) = looker.look().snapshots
        asked = len(api.asked)
        (second,) = looker.look().snapshots
    assert world.panel(first) == world.panel(second) == "Shop / Board: Orders (A)"
    assert len(api.asked) == asked, "not asked again"
    assert first.facts.panels is not None
    assert [one.match.fit for one in first.facts.panels.sent if one.match is not None] == [Fit.EXACT]


def test_a_saved_look_has_the_panel_but_not_its_sql(world: World, api: StandIn, tmp_path: Path) -> None:
    with looking(world.server, panels=True) as looker:
        look = looker.look()
    path = str(tmp_path / "snapshot.json")
    save(path, look)
    (again,) = read(path).snapshots
    assert world.panel(again) == "Shop / Board: Orders (A)"
    assert api.tokens
    text = Path(path).read_text()
    assert '"sql":' not in text, "what is saved in Grafana is not kept"
    assert not any(token in text for token in api.tokens)


def test_who_asks_for_nothing_else_to_show_it(world: World, api: StandIn) -> None:
    words = ["--dsn", world.server.dsn(MONITOR, "postgres")]

    def pgusher(*more: str) -> str:
        argv = [sys.executable, "-m", "pgusher", *more, *words]
        return subprocess.run(argv, capture_output=True, text=True, check=False, env=os.environ).stdout

    told = json.loads(pgusher("who", "grafana", "--json"))
    (session,) = told["matches"][0]["sessions"]
    assert session["panel"]["panels"][0]["title"] == "Orders"
    assert session["panel"]["panels"][0]["link"].startswith(os.environ["PGUSHER_GRAFANA_URL"])
    assert session["chain"]["links"][-1]["kind"] == "panel"
    assert "panel\tShop / Board: Orders (A)" in pgusher("who", "grafana")
    assert api.asked


def test_without_an_api_to_ask_the_look_loads_nothing_of_it(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PGUSHER_GRAFANA_URL", raising=False)
    with looking(world.server) as looker:
        (seen,) = looker.look().snapshots
    assert world.panel(seen) is None
    assert seen.facts.panels is None


def test_a_grafana_that_cannot_be_asked_is_a_gap(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PGUSHER_GRAFANA_URL", "no address")
    with looking(world.server, panels=True) as looker:
        (seen,) = looker.look().snapshots
    assert world.panel(seen) is None
    assert "its dashboards" in {gap.what for gap in seen.facts.gaps}


def test_an_answer_is_waited_for_no_longer_than_a_look_may_take(
    world: World, api: StandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(panel_links, "WITHIN", -1.0)
    with looking(world.server, panels=True) as looker:
        (seen,) = looker.look().snapshots
    assert world.panel(seen) is None
    assert any("in part" in gap.what for gap in seen.facts.gaps)
    assert api.asked
