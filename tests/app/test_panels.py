"""Slots by panel on a real server: its statements, cut where it cuts them. Grafana itself is the stand-in.

The sessions are the test's own; that they are taken for Grafana's is said by hand, since no Grafana can run here.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import psycopg
import pytest

from pgusher.app.look import Looker
from pgusher.app.panels import PanelFinder, grafana_sessions
from pgusher.attribute.panels.slots import by_panel
from pgusher.collect.grafana.api import read_api
from pgusher.collect.grafana.client import Access, Client
from pgusher.demo.grafana_stand_in import StandIn, serving
from pgusher.demo.server import EmbeddedServer
from pgusher.model.evidence import Certainty
from pgusher.model.grafana import Grafana
from pgusher.model.holder import Holder, HolderKind
from pgusher.model.panel_slots import PanelLook
from pgusher.model.panels import Fit
from pgusher.model.snapshot import Snapshot
from pgusher.model.values import replace
from tests.bed.bed import APP, MONITOR
from tests.bed.grafana_sender import Sender
from tests.live.looking import looking

SERVER_SETTINGS = {"max_connections": 20, "compute_query_id": "on"}
SERIES = """SELECT $__timeGroupAlias(g.t, $__interval), count(*) AS "orders" -- a comment
FROM generate_series(now() - interval '1 hour', now(), '1 minute') AS g(t)
WHERE $__timeFilter(g.t) AND 'eu' IN (${region:sqlstring}) GROUP BY 1 ORDER BY 1"""
TWICE = "SELECT max(n) AS most FROM generate_series(1, 10) AS n WHERE n > 3"
LONG = (
    "SELECT " + ", ".join(f"{number} AS column_{number}" for number in range(80)) + " /* {} */ WHERE true AND {} = {}"
)
PG = {"type": "grafana-postgresql-datasource", "uid": "shop"}


def board(uid: str, *sqls: str, source: Any = PG) -> dict[str, Any]:
    panels = [
        {"id": number, "title": f"P{number}", "datasource": source, "targets": [{"refId": "A", "rawSql": sql}]}
        for number, sql in enumerate(sqls, 1)
    ]
    return {"dashboard": {"uid": uid, "title": uid.title(), "panels": panels}, "meta": {"folderTitle": "Shop"}}


class Scene:
    """The stand-in, sessions with the statements of its panels, and a look at them."""

    def __init__(self, server: EmbeddedServer, looker: Looker, access: Access) -> None:
        self._server = server
        self._looker = looker
        self.finder = PanelFinder(access, lambda: ())
        self.grafana: Grafana = read_api(Client(access))
        self._stack = ExitStack()

    def send(self, sql: str, user: str = APP) -> int:
        """A session that has sent this, idle now; its server process."""
        connection = self._stack.enter_context(psycopg.connect(self._server.dsn(user, "app"), autocommit=True))
        connection.execute(sql.encode())
        return connection.info.backend_pid

    def look(self) -> tuple[Snapshot, PanelLook]:
        (seen,) = self._looker.look().snapshots
        sessions = zip(seen.chains, seen.facts.sessions, strict=True)
        chains = tuple(chain if one.own else replace(chain, holder="grafana") for chain, one in sessions)
        mine = Holder("grafana", HolderKind.SERVICE, "Grafana", (), program="Grafana")
        snapshot = replace(seen, chains=chains, holders=(mine,))
        connection = self._looker.connection(seen.facts.server)
        return snapshot, self.finder.look(snapshot, (self.grafana,), connection, 3.0)

    def close(self) -> None:
        self._stack.close()


@pytest.fixture
def scene(server: EmbeddedServer) -> Iterator[Scene]:
    made = StandIn("12.1.0")
    url = f"localhost:{server.port}"
    made.add("Shop", url=url, user=APP, uid="shop", jsonData={"database": "app"})
    made.add("Other", url=url, user="reports", uid="other", jsonData={"database": "reports"})
    made.dashboards[1, "orders"] = board("orders", SERIES, TWICE)
    made.dashboards[1, "copy"] = board("copy", TWICE)
    made.dashboards[1, "long"] = board("long", LONG.format("a", 1, 1), LONG.format("b", 2, 2))
    made.dashboards[1, "elsewhere"] = board("elsewhere", TWICE, source={"type": "postgres", "uid": "other"})
    with serving(made) as at, looking(server) as looker:
        scene = Scene(server, looker, Access(at, (made.token(),)))
        try:
            yield scene
        finally:
            scene.close()


def test_each_session_is_told_by_its_statement(scene: Scene) -> None:
    exact = [scene.send(Sender(7).send(SERIES)) for _ in range(2)]
    twice = scene.send(TWICE)
    cut = scene.send(LONG.format("c", 1, 1))
    stranger = scene.send("SELECT 'explored' AS something, 1 AS more")
    _, look = scene.look()
    assert look.gaps == ()
    assert (look.queries, look.dashboards, look.limit, look.cut) == (6, 4, 1024, 1)
    slots = {one.pids: one for one in by_panel(look.sent)}
    first = slots[tuple(sorted(exact))]
    assert first.match is not None
    assert (first.match.fit, first.certainty) == (Fit.EXACT, Certainty.LIKELY), "texts were compared: never proven"
    assert first.match.panels[0].place == "Shop / Orders: P1 (A)"
    assert first.longest is not None
    assert 0 <= first.longest < 60_000_000
    same = slots[twice,].match
    assert same is not None
    assert same.fit is Fit.SAME_SQL
    assert {one.dashboard for one in same.panels} == {"Orders", "Copy"}, "not that of another data source"
    beginning = slots[cut,]
    assert beginning.match is not None
    assert (beginning.match.fit, beginning.match.cut, len(beginning.match.panels)) == (Fit.CANDIDATES, True, 2)
    assert beginning.certainty is Certainty.GUESSED
    none = slots[stranger,]
    assert none.match is not None
    assert (none.match.fit, none.certainty) == (Fit.NONE, None)


def test_a_query_id_that_was_matched_exactly_puts_its_panel_first(scene: Scene) -> None:
    seen = scene.finder._learned
    scene.send(TWICE.replace("3", "4"))
    _, look = scene.look()
    assert look.sent[0].match is not None
    assert look.sent[0].match.fit is Fit.NONE
    assert seen._panels == {}, "nothing exact was seen yet"
    scene.send(Sender(3).send(SERIES))
    scene.look()
    assert [one.title for panels in seen._panels.values() for one in panels] == ["P1"]


def test_statements_that_may_not_be_seen_are_a_gap(server: EmbeddedServer, scene: Scene) -> None:
    pid = scene.send(TWICE)
    with looking(server, dsn=server.dsn("reports", "postgres")) as looker:
        scene._looker = looker
        _, look = scene.look()
    assert pid in {one.pid for one in look.sent if one.match is None}
    assert "statements of" in look.gaps[0].what
    assert "pg_monitor" in look.gaps[0].opens


def test_without_sql_the_sessions_are_counted_and_the_gap_is_told(scene: Scene) -> None:
    scene.send(TWICE)
    snapshot, _ = scene.look()
    look = scene.finder.look(snapshot, (scene.grafana,), None, 1.0)
    assert [one.match for one in look.sent] == [None]
    assert look.gaps[-1].why == "the server was not asked by SQL"


def test_a_session_that_is_not_grafanas_is_left_out(scene: Scene) -> None:
    mine, monitor = scene.send(TWICE), scene.send(TWICE, MONITOR)
    snapshot, _ = scene.look()
    assert {one.pid for one in grafana_sessions(snapshot, (scene.grafana,))} == {mine, monitor}
    strangers = replace(snapshot, holders=tuple(replace(one, program=None) for one in snapshot.holders))
    assert grafana_sessions(strangers, (scene.grafana,)) == ()
    elsewhere = tuple(replace(one, program=None, kind=HolderKind.REMOTE) for one in snapshot.holders)
    remote = replace(snapshot, holders=elsewhere)
    assert [one.pid for one in grafana_sessions(remote, (scene.grafana,))] == [mine], "by role and database alone"


def test_saved_queries_are_read_once_a_minute(scene: Scene) -> None:
    now = [0.0]
    finder = PanelFinder(scene.finder.asked, lambda: (), monotonic=lambda: now[0])
    first = finder._saved()
    assert finder._saved() is first
    now[0] = 61.0
    assert finder._saved() is not first
