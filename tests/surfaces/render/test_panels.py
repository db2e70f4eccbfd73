"""Slots by panel: what each answer says on a terminal, in a pipe and as JSON."""

from __future__ import annotations

from pgusher.attribute.panels.slots import by_panel
from pgusher.model.evidence import Gap
from pgusher.model.panel_slots import PanelLook, Sent
from pgusher.model.panels import Fit, Match, Panel, PanelKind
from pgusher.surfaces.render.panels import panels_json, panels_page
from pgusher.surfaces.render.screen import Screen

ORDERS = Panel(
    "select 1", "Orders", "A minute", ref_id="A", folder="Shop", uid="o", panel_id=2, link="/d/o?viewPanel=2"
)
COPY = Panel("select 1", "Copy", "\x1b[1mred", ref_id="A", uid="c", panel_id=1, link="/d/c?viewPanel=1")
RULE = Panel("select 2", title="Too slow", kind=PanelKind.ALERT, ref_id="A")
LOOK = PanelLook(
    sent=(
        Sent(11, Match(Fit.EXACT, (ORDERS,)), running=True, took=12_500_000),
        Sent(12, Match(Fit.EXACT, (ORDERS,)), took=2_000),
        Sent(13, Match(Fit.SAME_SQL, (ORDERS, COPY), why="2 panels keep the same SQL"), took=95_000_000),
        Sent(14, Match(Fit.CANDIDATES, (RULE, COPY, ORDERS, ORDERS), cut=True, learned=True, why="it is cut")),
        Sent(15, Match(Fit.CANDIDATES, (RULE,), why="so short a query may be anybody's")),
        Sent(16, Match(Fit.NONE)),
        Sent(17, None),
    ),
    queries=240,
    dashboards=9,
    cut=1,
    gaps=(Gap("grafana", "the alert rules of organisation 1", "403", "a permission"),),
)
URL = "http://grafana:3000"


def text(screen: Screen, slow: bool = False) -> str:
    return screen.page(panels_page(screen, LOOK, by_panel(LOOK.sent, slow=slow), URL))


def test_a_terminal_names_the_panel_its_link_and_every_doubt() -> None:
    page = text(Screen(width=110))
    lines = [line.strip() for line in page.splitlines()]
    assert lines[0] == "7 sessions of Grafana's, compared with 240 saved queries of 9 dashboards"
    assert "the alert rules of organisation 1" in page
    row = next(line for line in lines if "Shop / Orders: A minute (A)" in line)
    assert row.split()[:4] == ["2", "1", "12.5s", "likely"]
    assert lines[lines.index(row) + 1] == f"{URL}/d/o?viewPanel=2"
    assert any(line.endswith("guessed  one of 2 panels with the same SQL") for line in lines)
    assert any("1min35s" in line for line in lines)
    assert "one of 4 candidates: it is cut" in page
    assert "and 1 more" in page
    assert "the first had this query id before" in page
    assert "perhaps alert rule Too slow (A)" in page
    assert "no saved panel (Explore or an unsaved edit)" in page
    assert "no statement is shown" in page
    assert "1 of 7 statements are shown in part" in page
    assert "track_activity_query_size" in page
    assert "\x1b" not in page


def test_slow_begins_with_the_longest() -> None:
    lines = text(Screen(width=110), slow=True).splitlines()
    heading = next(number for number, line in enumerate(lines) if line.strip().startswith("SLOTS"))
    assert "1min35s" in lines[heading + 1]


def test_a_pipe_has_a_row_for_each_panel_with_exact_figures() -> None:
    rows = [line.split("\t") for line in text(Screen(width=None)).splitlines()]
    heading = next(number for number, row in enumerate(rows) if row[0] == "slots")
    first = dict(zip(rows[heading], rows[heading + 1], strict=True))
    assert (first["slots"], first["longest ms"], first["fit"], first["certainty"]) == (
        "2",
        "12500.000",
        "exact",
        "likely",
    )
    assert first["link"] == f"{URL}/d/o?viewPanel=2"
    assert first["server pids"] == "11 12"
    assert sum(row[3:4] == ["same SQL"] for row in rows) == 2
    assert all("\x1b" not in field for row in rows for field in row)


def test_json_has_every_answer() -> None:
    told = panels_json(LOOK, by_panel(LOOK.sent), URL)
    assert [one["fit"] for one in told["slots"]] == [
        "exact",
        "same SQL",
        "candidates",
        "candidates",
        "no saved panel",
        None,
    ]
    assert told["slots"][0]["panels"][0]["link"] == f"{URL}/d/o?viewPanel=2"
    assert "select 1" not in str(told), "SQL is compared, never shown"
