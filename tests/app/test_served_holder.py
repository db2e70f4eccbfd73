"""What the page of a holder says of its budget, and of the panels of a Grafana: on a real server.

Grafana itself is the stand-in; that the test's own session is a Grafana's is said by hand.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from pgusher.app.config import Config
from pgusher.app.request import Request
from pgusher.app.served import Served
from pgusher.app.served_holder import Panels, share_of
from pgusher.collect.postgres.connect import Connection
from pgusher.demo.grafana_stand_in import StandIn, serving
from pgusher.demo.server import EmbeddedServer
from pgusher.model.budget import Declared
from pgusher.model.holder import Holder, HolderKind
from pgusher.model.panels import Fit
from pgusher.model.values import replace
from pgusher.surfaces.web import pages
from tests.bed.bed import APP
from tests.live.looking import looking
from tests.surfaces import worlds
from tests.surfaces.fakes import FakeApp

SQL = "SELECT max(n) AS most FROM generate_series(1, 10) AS n WHERE n > 3"


def stand_in(port: int) -> StandIn:
    made = StandIn("12.1.0")
    made.add("Shop", url=f"localhost:{port}", user=APP, uid="shop", jsonData={"database": "app"})
    target = {"refId": "A", "rawSql": SQL}
    source = {"type": "postgres", "uid": "shop"}
    panel = {"id": 4, "title": "Orders", "datasource": source, "targets": [target]}
    board = {"uid": "orders", "title": "Board", "panels": [panel]}
    made.dashboards[1, "orders"] = {"dashboard": board, "meta": {"folderTitle": "Shop"}}
    return made


def test_the_panel_of_a_session_is_told_through_the_one_connection_that_there_is(server: EmbeddedServer) -> None:
    made = stand_in(server.port)
    with serving(made) as url, looking(server) as looker, contextlib.ExitStack() as stack:
        sender = stack.enter_context(psycopg.connect(server.dsn(APP, "app"), autocommit=True))
        sender.execute(SQL.encode())
        (seen,) = looker.look().snapshots
        pid = sender.info.backend_pid
        mine = Holder("grafana", HolderKind.SERVICE, "Grafana", (pid,), program="Grafana")
        chains = tuple(replace(one, holder="grafana") if one.pid == pid else one for one in seen.chains)
        snapshot = replace(seen, chains=chains, holders=(*seen.holders, mine))
        asked = []

        @contextlib.contextmanager
        def connection() -> Iterator[Connection | None]:
            asked.append(1)
            yield looker.connection(snapshot.facts.server)

        environ = {"PGUSHER_GRAFANA_URL": url, "PGUSHER_GRAFANA_TOKEN": made.token()}
        panels = Panels(Config(), time.monotonic, environ)
        shown = panels.of(snapshot, "grafana", connection, 3.0)
        assert shown is not None
        assert shown.look.gaps == ()
        (one,) = shown.slots
        assert one.match is not None
        assert (one.match.fit, one.pids) == (Fit.EXACT, (pid,))
        assert one.match.panels[0].place == "Shop / Board: Orders (A)"
        assert f"{shown.url}{one.match.panels[0].link}".startswith(f"{url}/d/orders")
        before = len(made.asked)
        assert panels.of(snapshot, "grafana", connection, 3.0) is not None
        assert len(made.asked) == before, "dashboards are kept for a while"
        looker.look()  # the page may ask about the look before the newest
        again = panels.of(snapshot, "grafana", connection, 3.0)
        assert again is not None
        assert again.look.gaps == ()


def test_who_is_no_grafana_is_not_asked_about() -> None:
    def connection() -> Any:
        raise AssertionError("nothing is asked")

    panels = Panels(Config(), time.monotonic, {})
    assert panels.of(worlds.incident(), "cron/version_history", connection, 3.0) is None
    assert panels.of(worlds.incident(), "nobody", connection, 3.0) is None


def test_a_grafana_that_cannot_be_asked_is_a_gap() -> None:
    panels = Panels(Config(), time.monotonic, {"PGUSHER_GRAFANA_URL": "no address"})
    shown = panels.of(worlds.incident(), "unit/grafana-server", contextlib.nullcontext, 3.0)
    assert shown is not None
    assert [gap.source for gap in shown.look.gaps] == ["grafana"]
    assert shown.slots == ()


def test_the_runs_of_a_job_are_those_that_its_guard_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PGUSHER_STATE", str(tmp_path))
    for code in ("0", "3"):
        command = [sys.executable, "-m", "pgusher", "run", "--name", "report", "--", "sh", "-c", f"exit {code}"]
        environment = {**os.environ, "PYTHONPATH": "src"}
        done = subprocess.run(command, env=environment, capture_output=True, check=False)
        assert done.returncode == int(code), done.stderr
    looker: Any = FakeApp()
    served = Served(Request(), looker=looker)
    runs = served.runs("cron/report")
    assert [one.exit for one in runs] == [3, 0], "the newest first"
    assert [one["exit"] for one in pages.runs(runs)] == ["3", "0"]
    assert served.runs("cron/other") == []
    assert served.runs("unit/grafana-server") == []
    assert served.runs("remote/10.0.0.7") == []


def test_the_budget_of_a_holder_is_a_part_of_the_whole() -> None:
    config = Config(budgets=(Declared("version_history", 12, holder="cron/version_history", place="pgusher.toml"),))
    share = share_of(worlds.incident(), config, "cron/version_history")
    assert share is not None
    assert share.claim.declared is not None
    assert share.claim.may.value == 12
    assert share.claim in share.sheet.claims
    assert share_of(worlds.incident(), config, "nobody") is None
