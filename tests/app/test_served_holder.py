"""What the page of a holder says of its budget, and of the panels of a Grafana: on a real server.

Grafana itself is the stand-in; that the test's own session is a Grafana's is said by hand.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from typing import Any

import psycopg

from pgusher.app.config import Config
from pgusher.app.served_holder import Panels, share_of
from pgusher.collect.postgres.connect import Connection
from pgusher.demo.grafana_stand_in import StandIn, serving
from pgusher.demo.server import EmbeddedServer
from pgusher.model.budget import Declared
from pgusher.model.holder import Holder, HolderKind
from pgusher.model.panels import Fit
from pgusher.model.values import replace
from tests.bed.bed import APP
from tests.live.looking import looking
from tests.surfaces import worlds

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


def test_the_budget_of_a_holder_is_a_part_of_the_whole() -> None:
    config = Config(budgets=(Declared("version_history", 12, holder="cron/version_history", place="pgusher.toml"),))
    share = share_of(worlds.incident(), config, "cron/version_history")
    assert share is not None
    assert share.claim.declared is not None
    assert share.claim.may.value == 12
    assert share.claim in share.sheet.claims
    assert share_of(worlds.incident(), config, "nobody") is None
