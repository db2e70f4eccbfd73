"""The last link of a Grafana's chain: what its statement says, how sure, and what it never changes."""

from __future__ import annotations

import json

from pgusher.attribute import attribute
from pgusher.attribute.panel_links import cut_gap, panel_link, with_panels, without_sql
from pgusher.model import codec
from pgusher.model.anonymous import anonymous
from pgusher.model.evidence import Certainty
from pgusher.model.facts import Facts
from pgusher.model.holder import Link, LinkKind
from pgusher.model.panel_slots import PanelLook, Sent
from pgusher.model.panels import Fit, Match, Panel, PanelKind
from pgusher.model.pseudonym import Pseudonyms
from pgusher.model.values import replace
from tests.surfaces import worlds

WORLD = worlds.incident()
PIDS = next(one for one in WORLD.holders if one.program == "Grafana").sessions
ORDERS = Panel("select secret_sql", "Orders", "A minute", ref_id="A", folder="Shop", link="/d/orders?viewPanel=2")
COPY = Panel("select secret_sql", "Copy", "A minute", ref_id="B")
RULE = Panel("select secret_sql", "", "Too many", PanelKind.ALERT, "A", link="/alerting/r1/view")


def look(*matches: Match | None, queries: int = 240) -> PanelLook:
    sent = tuple(Sent(pid, match) for pid, match in zip(PIDS, matches, strict=False))
    return PanelLook(sent, queries, 12, url="http://grafana:3000")


def link(match: Match) -> Link:
    told = look(match)
    return panel_link(told.sent[0], told)


def test_one_panel_is_named_with_its_place_and_its_address_and_is_likely_at_most() -> None:
    told = link(Match(Fit.EXACT, (ORDERS,)))
    assert (told.kind, told.subject, told.certainty) == (
        LinkKind.PANEL, "Shop / Orders: A minute (A)", Certainty.LIKELY,
    )  # fmt: skip
    assert told.evidence.endswith("no other: http://grafana:3000/d/orders?viewPanel=2")


def test_an_alert_rule_says_that_it_is_one() -> None:
    assert link(Match(Fit.EXACT, (RULE,))).subject == "alert rule Too many (A)"


def test_several_are_never_one() -> None:
    same = link(Match(Fit.SAME_SQL, (ORDERS, COPY, RULE), why="3 panels keep the same SQL"))
    assert (same.subject, same.certainty) == ("one of 3 panels with the same SQL", Certainty.GUESSED)
    assert "Copy: A minute (B)" in same.evidence
    many = link(Match(Fit.CANDIDATES, (ORDERS, COPY, RULE, ORDERS), learned=True, why="several saved queries fit"))
    assert many.subject == "one of 4 panels"
    assert many.evidence.endswith("and 1 more; the first had this query id before")
    one = link(Match(Fit.CANDIDATES, (COPY,), why="so short a query may be anybody's"))
    assert (one.subject, one.certainty) == ("perhaps Copy: A minute (B)", Certainty.GUESSED)


def test_what_fits_nothing_is_no_saved_panel() -> None:
    told = link(Match(Fit.NONE))
    assert told.subject == "no saved panel (Explore or an unsaved edit)"
    assert "none of 240" in told.evidence


def test_a_cut_statement_is_a_gap_with_the_setting_that_opens_it() -> None:
    assert "1023 bytes" in link(Match(Fit.NONE, cut=True)).evidence
    found = cut_gap(look(Match(Fit.CANDIDATES, (ORDERS, COPY), cut=True), Match(Fit.EXACT, (RULE,), cut=True)))
    assert found is not None
    assert (found.count, found.what) == (1, "which panels 1 session of Grafana's belong to")
    assert "track_activity_query_size" in found.opens
    assert cut_gap(look(Match(Fit.EXACT, (ORDERS,), cut=True))) is None, "it was enough"


def test_the_chain_stays_as_sure_as_it_was_and_the_holder_too() -> None:
    found = with_panels(WORLD, look(Match(Fit.SAME_SQL, (ORDERS, COPY)), Match(Fit.EXACT, (RULE,)), None))
    assert found.holders == WORLD.holders
    assert [one.certainty for one in found.chains] == [one.certainty for one in WORLD.chains]
    linked = {one.pid: one.links[-1] for one in found.chains if one.links and one.links[-1].kind is LinkKind.PANEL}
    assert set(linked) == set(PIDS[:2]), "where no statement is shown nothing is said"
    changed = [one for one in found.chains if one.pid not in linked]
    assert changed == [one for one in WORLD.chains if one.pid not in linked]


def test_without_a_saved_query_nothing_is_said_of_sessions() -> None:
    assert with_panels(WORLD, look(Match(Fit.NONE), queries=0)).chains == WORLD.chains


def test_a_saved_snapshot_says_the_same_and_has_no_saved_sql() -> None:
    told = look(Match(Fit.EXACT, (ORDERS,)), Match(Fit.CANDIDATES, (ORDERS, COPY), cut=True))
    found = with_panels(attribute(WORLD.facts), told)
    text = json.dumps(codec.dump(found.facts))
    assert "secret_sql" not in text
    assert attribute(codec.load(Facts, json.loads(text))) == found


def test_an_anonymous_one_has_no_title_and_no_address() -> None:
    found = with_panels(WORLD, look(Match(Fit.EXACT, (ORDERS,), why="by its beginning")))
    text = json.dumps(codec.dump(anonymous(found.facts, Pseudonyms())))
    for word in ("Orders", "Shop", "grafana:3000", "viewPanel=2"):
        assert word not in text
    assert "exact" in text


def test_one_panel_of_many_sessions_is_kept_once() -> None:
    kept = without_sql(look(Match(Fit.EXACT, (ORDERS,)), Match(Fit.EXACT, (replace(ORDERS),))))
    first, second = (one.match.panels[0] for one in kept.sent if one.match is not None)
    assert first is second


def test_of_a_thousand_panels_with_one_sql_a_snapshot_keeps_some_and_their_number() -> None:
    panels = tuple(replace(ORDERS, uid=str(number)) for number in range(1000))
    kept = without_sql(look(Match(Fit.SAME_SQL, panels)))
    (match,) = (one.match for one in kept.sent if one.match is not None)
    assert len(match.panels) < 50
    assert match.count == 1000
    assert panel_link(kept.sent[0], kept).subject == "one of 1000 panels with the same SQL"
