"""The true panel is among the candidates, and a wrong one is never called exact."""

from __future__ import annotations

import pytest

from pgusher.attribute.panels.index import PanelIndex
from pgusher.attribute.panels.macros import Dialect
from pgusher.collect.grafana.dashboard_json import read_dashboard
from pgusher.model.panels import Fit, Panel
from tests.bed.grafana_corpus import dashboards
from tests.bed.grafana_sender import Sender, shown

PANELS = [panel for one in dashboards(400, seed=11) for panel in read_dashboard(one)[0]]


@pytest.fixture(scope="module")
def index() -> PanelIndex:
    return PanelIndex(PANELS)


@pytest.mark.parametrize(
    "way",
    [{}, {"strips": True}, {"blind": True}, {"timescale": True}],
    ids=["plain", "comments stripped", "also in strings", "timescale"],
)
@pytest.mark.parametrize("limit", [None, 1024], ids=["whole", "cut"])
def test_on_a_made_up_corpus(index: PanelIndex, way: dict[str, bool], limit: int | None) -> None:
    """The figures that the project promises, on panels that are made to be hard to tell apart."""
    missed, settled, wrong = [], 0, []
    for number, panel in enumerate(PANELS):
        sent = Sender(number, **way).send(panel.sql)
        match = index.match(shown(sent, limit) if limit else sent)
        if panel not in match.panels:
            missed.append((panel.sql, sent))
            if match.fit in (Fit.EXACT, Fit.SAME_SQL):
                wrong.append((panel.sql, sent, match))
        elif match.fit in (Fit.EXACT, Fit.SAME_SQL):
            settled += 1
    assert wrong == []
    assert len(missed) <= len(PANELS) // 100, missed[:3]
    assert settled >= len(PANELS) * 0.85


def test_at_other_sizes_a_wrong_panel_is_never_exact() -> None:
    for limit in (100, 256, 4096):
        small = PanelIndex(PANELS, limit=limit)
        for number, panel in enumerate(PANELS[::7]):
            match = small.match(shown(Sender(number).send(panel.sql), limit))
            assert panel in match.panels or match.fit in (Fit.NONE, Fit.CANDIDATES), (limit, panel.sql)
            assert panel in match.panels or len(match.panels) == 1000, (limit, panel.sql)


def test_panels_that_are_not_saved_are_not_found(index: PanelIndex) -> None:
    known = {panel.sql for panel in PANELS}
    strangers = [panel for one in dashboards(200, seed=99) for panel in read_dashboard(one)[0]]
    for number, panel in enumerate(strangers):
        if panel.sql not in known:
            match = index.match(Sender(number).send(panel.sql))
            assert match.fit in (Fit.NONE, Fit.CANDIDATES), (panel.sql, match)


def test_each_answer() -> None:
    sql = "SELECT count(*) AS n FROM shop.orders WHERE state = '{}'"
    panels = [
        Panel(sql.format("open"), uid="a"),
        Panel(sql.format("paid"), uid="b"),
        Panel(sql.format("paid").replace(" ", "\n"), uid="c"),
        Panel("SELECT 1", uid="d"),
        Panel(sql.replace("count(*)", "max(x)").format("$state"), uid="e"),
        Panel(sql.replace("count(*)", "max(x)").format("late"), uid="f"),
        Panel("$everything", uid="g", wild=("everything",)),
    ]
    index = PanelIndex(panels)

    def answer(query: str) -> tuple[Fit, str]:
        match = index.match(query)
        return match.fit, "".join(one.uid for one in match.panels)

    assert answer(sql.format("open")) == (Fit.EXACT, "a")
    assert answer(sql.format("paid")) == (Fit.SAME_SQL, "bc")
    assert answer("select 1") == (Fit.CANDIDATES, "d")
    assert answer(sql.replace("count(*)", "max(x)").format("late")) == (Fit.CANDIDATES, "fe")
    assert answer(sql.replace("count(*)", "max(x)").format("other")) == (Fit.EXACT, "e")
    assert answer("SELECT something FROM explored") == (Fit.NONE, "")
    assert answer("") == (Fit.NONE, "")
    assert answer(sql.format("open") + " LIMIT 7") == (Fit.NONE, "")


def test_the_same_dashboard_for_each_of_many_teams_is_told_with_its_number() -> None:
    """So it is done in public: the very same panels for some hundred projects."""
    panels = [Panel("SELECT day, sum(n) FROM events GROUP BY 1", uid=str(number)) for number in range(300)]
    match = PanelIndex(panels).match("SELECT day, sum(n) FROM events GROUP BY 1")
    assert (match.fit, len(match.panels), match.why) == (Fit.SAME_SQL, 300, "300 panels keep the same SQL")


def test_a_cut_text_says_that_it_is_cut_and_what_that_leaves_open() -> None:
    long = "SELECT " + ", ".join(f"column_{number}" for number in range(150)) + " FROM t WHERE x = "
    index = PanelIndex([Panel(long + "1", uid="a"), Panel(long + "2", uid="b")])
    match = index.match(shown(long + "1"))
    assert (match.fit, match.cut, len(match.panels)) == (Fit.CANDIDATES, True, 2)
    assert match.why == "the server shows 1,023 bytes of a query"
    alone = PanelIndex([Panel(long + "1", uid="a")]).match(shown(long + "1"))
    assert (alone.fit, alone.why) == (Fit.EXACT, "by its beginning: the server shows 1,023 bytes of a query")
    larger = PanelIndex([Panel(long + "1", uid="a"), Panel(long + "2", uid="b")], limit=8192)
    assert larger.match(long + "1").fit is Fit.EXACT


def test_what_a_switched_on_source_sends_may_also_be_written_by_hand() -> None:
    macro = "SELECT $__timeGroup(ts, '5m') AS t, sum(x) FROM readings GROUP BY 1"
    by_hand = "SELECT time_bucket('300.000s',ts) AS t, sum(x) FROM readings GROUP BY 1"
    index = PanelIndex([Panel(macro, uid="macro"), Panel(by_hand, uid="hand")])
    match = index.match(by_hand)
    assert (match.fit, {one.uid for one in match.panels}) == (Fit.SAME_SQL, {"macro", "hand"})
    plain = index.match("SELECT floor(extract(epoch from ts)/300)*300 AS t, sum(x) FROM readings GROUP BY 1")
    assert (plain.fit, [one.uid for one in plain.panels]) == (Fit.EXACT, ["macro"])


@pytest.mark.parametrize(
    "group",
    [
        "floor(extract(epoch from ts)/300)*300",
        "(extract(epoch from ts)/300)::bigint*300",
        "time_bucket('300s',ts)",
        "time_bucket('300.000s',ts)",
    ],
)
def test_a_group_of_time_in_each_dialect(group: str) -> None:
    sql = "SELECT $__timeGroup(ts, '{}') AS t, sum(x) FROM readings GROUP BY 1"
    index = PanelIndex([Panel(sql.format(step), uid=step) for step in ("5m", "1h", "10m")])
    match = index.match(f"SELECT {group} AS t, sum(x) FROM readings GROUP BY 1")
    assert (match.fit, [one.uid for one in match.panels]) == (Fit.EXACT, ["5m"])
    both = Dialect.PLAIN, Dialect.TIMESCALE
    told = PanelIndex([Panel(sql.format("5m"), uid="5m")], dialects=both).match(
        "SELECT time_bucket('300.000s',ts) AS t, sum(x) FROM readings GROUP BY 1"
    )
    assert told.fit is Fit.EXACT


def test_a_sign_of_several_bytes_at_the_cut_is_still_a_cut() -> None:
    sql = "SELECT '" + "é" * 600 + "' AS a, b, c FROM t"
    index = PanelIndex([Panel(sql, uid="a")])
    text = shown(sql)
    assert len(text.encode()) in {1022, 1023}
    assert index.match(text).panels[0].uid == "a"


def test_only_the_data_sources_that_lead_to_this_session() -> None:
    sql = "SELECT a, b, c FROM t"
    index = PanelIndex([Panel(sql, uid="x", source="one"), Panel(sql, uid="y", source="two"), Panel(sql, uid="z")])
    assert [one.uid for one in index.match(sql).panels] == ["x", "y", "z"]
    assert [one.uid for one in index.match(sql, {"one"}).panels] == ["x", "z"]
    assert [one.uid for one in index.match(sql, set()).panels] == ["z"]


def test_a_value_that_breaks_out_of_its_quotes_is_a_candidate() -> None:
    index = PanelIndex([Panel("SELECT a, b, c, d, e FROM a_long_table_name WHERE x IN ('$x')", uid="a")])
    match = index.match("SELECT a, b, c, d, e FROM a_long_table_name WHERE x IN ('p','q')")
    assert (match.fit, [one.uid for one in match.panels]) == (Fit.CANDIDATES, ["a"])
