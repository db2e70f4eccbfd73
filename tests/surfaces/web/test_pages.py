from __future__ import annotations

import re
from dataclasses import replace
from html.parser import HTMLParser
from urllib.parse import urlencode

import jsonschema
import pytest
from hypothesis import given, settings

from pgusher.app.config import Config
from pgusher.app.live import Sum, _sums
from pgusher.app.served_holder import Shown
from pgusher.attribute.panels.slots import by_panel
from pgusher.errors import UnreachableError
from pgusher.model.budget import Declared
from pgusher.model.evidence import Gap
from pgusher.model.panel_slots import PanelLook, Sent
from pgusher.model.panels import Fit, Match, Panel
from pgusher.model.past import ALL, MINUTE, Past, Series
from pgusher.model.snapshot import Snapshot
from pgusher.surfaces.render import words
from pgusher.surfaces.render.schema import json_schema
from pgusher.surfaces.web.gate import Gate
from pgusher.surfaces.web.site import Site
from pgusher.surfaces.web.view import plain
from tests.surfaces import findings, worlds
from tests.surfaces.random_worlds import snapshots
from tests.surfaces.web.site import HOST, TOKEN, Source, ask, look

VOID = {"meta", "link", "input", "br", "img", "hr"}


class Strict(HTMLParser):
    """Every element is closed where it should be; nothing in it that would run."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.text: list[str] = []
        self.links: list[str] = []
        self.feed(text)
        assert self.open == []

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.open.pop()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in VOID:
            self.open.append(tag)
        for name, value in attrs:
            assert not name.startswith("on"), (tag, attrs)
            assert name != "style"
            if name in {"href", "src", "action"} and value is not None:
                self.links.append(value)
                assert value.startswith(("/", "#", "data:,")), value
        if tag == "script":
            assert dict(attrs).get("src") == "/static/pgusher.js"

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID:
            assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] == "script":
            assert not data.strip()
        self.text.append(data)


def shown(source: Source, path: str, status: int = 200) -> str:
    answer = ask(source, path)
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    return re.sub(r"\s+", " ", "".join(Strict(answer.text).text))


def test_the_first_page_says_how_full_who_and_what_to_type() -> None:
    text = shown(Source(look(worlds.incident())), "/")
    assert "full 97 of 97 ordinary slots taken" in text
    assert "service/grafana" in text or "grafana" in text
    assert "cron/version_history" in text
    assert "What to type next" in text
    assert "pgusher why" in text or "pgusher who" in text


def test_every_slot_is_a_seat_and_every_seat_leads_to_its_session() -> None:
    snapshot = worlds.incident()
    source = Source(look(snapshot))
    page = Strict(ask(source, "/").text)
    seats = [link for link in page.links if link.startswith("/session")]
    assert len(seats) == snapshot.taken
    assert "backend" in shown(source, seats[0])
    assert "From the session to the holder" in shown(source, seats[5])


def test_a_holder_has_its_page_with_its_chain() -> None:
    source = Source(look(worlds.incident()))
    text = shown(source, "/holder?name=cron/version_history")
    assert "version_history.py" in text
    assert "proven" in text
    assert "What would give its slots back" in text


def test_a_holders_page_says_what_it_may_take_and_who_says_so() -> None:
    source = Source(look(worlds.incident()))
    source.config = Config(budgets=(Declared("v", 12, holder="cron/version_history", place="pgusher.toml: budget.v"),))
    text = shown(source, "/holder?name=cron/version_history")
    assert "Its budget" in text
    assert "may take12likelydeclared: pgusher.toml: budget.v" in text
    assert "runs at once = 4" in text
    assert "the holders may take at least" in text
    data = ask(source, "/holder.json?name=cron/version_history").json()
    assert data["budget"]["may"]["value"] == 12
    assert data["panels"] is None
    assert "Its panels" not in text


def test_a_grafanas_page_says_which_panels_its_slots_are_of() -> None:
    source = Source(look(worlds.incident()))
    panel = Panel("select 1", "Board", "<b>Orders</b>", ref_id="A", folder="Shop", link="/d/orders?viewPanel=4")
    other = replace(panel, title="Copy", link="")
    answers = (Match(Fit.EXACT, (panel,)), Match(Fit.SAME_SQL, (panel, other)), Match(Fit.NONE), None)
    sent = tuple(Sent(number, match, took=1_500_000) for number, match in enumerate(answers, 1))
    gap = Gap("grafana", "dashboards of org 2", "the token is of org 1", "a second token")
    source.shown = Shown(PanelLook(sent, 7, 2, cut=1, gaps=(gap,)), by_panel(sent), "http://grafana:3000")
    text = shown(source, "/holder?name=unit/grafana-server")
    assert "4 sessions of Grafana's, compared with 7 saved queries of 2 dashboards" in text
    for said in (
        "Shop / Board: <b>Orders</b> (A)",
        "http://grafana:3000/d/orders?viewPanel=4",
        "one of 2 panels with the same SQL",
        "no saved panel (Explore or an unsaved edit)",
        "no statement is shown",
        "the token is of org 1",
        "track_activity_query_size",
        "1.5 s",
    ):
        assert said in text
    data = ask(source, "/holder.json?name=unit/grafana-server").json()["panels"]
    assert sorted(one["fit"] or "" for one in data["slots"]) == ["", "exact", "no saved panel", "same SQL"]


def test_a_holder_or_a_session_that_is_gone_is_a_page_that_says_so() -> None:
    source = Source(look(worlds.incident()))
    assert "holds nothing now" in shown(source, "/holder?name=cron/gone", 404)
    assert "has ended" in shown(source, "/session?pid=1&start=1", 404)
    assert "has ended" in shown(source, "/session?pid=20100&start=17", 404)
    assert "no rule is called so" in shown(source, "/rule?name=nosuch", 404)
    nothing = shown(source, "/nothing", 404)
    assert "no such page" in nothing
    assert "nothing.json" not in nothing
    assert ask(source, "/nothing.json").json()["kind"] == "error"
    assert "No server to show" in shown(source, "/?server=9", 404)


def test_a_server_that_does_not_answer_any_more_stays_on_the_page() -> None:
    source = Source(look(worlds.incident()), UnreachableError("server on port 5432 could not be reached"))
    source.live.step()
    text = shown(source, "/")
    assert "The last look failed: server on port 5432 could not be reached" in text
    assert "97 of 97" in text
    assert ask(source, "/healthz").status_code == 503


def test_a_server_that_was_never_seen_is_told_with_the_hint() -> None:
    source = Source(UnreachableError("no PostgreSQL server was found on this host", hint="name one"))
    text = shown(source, "/", 503)
    assert "no PostgreSQL server was found" in text
    assert "name one" in text
    assert "pgusher_failed_looks_total 1" in ask(source, "/metrics").text


def test_each_page_has_its_data() -> None:
    source = Source(look(worlds.incident()))
    for path in ("/", "/holder?name=cron/version_history", "/session?pid=20100", "/history", "/plan", "/rule?name=x"):
        page = Strict(ask(source, path).text)
        data = next(link for link in page.links if ".json" in link)
        answer = ask(source, data)
        assert answer.status_code == 200, (data, answer.text)
        assert answer.json()["schema"] == 1
    jsonschema.validate(ask(source, "/state.json").json(), json_schema())
    assert ask(source, "/holder.json?name=nobody").status_code == 404


def test_sorting_and_choosing_are_in_the_address() -> None:
    source = Source(look(worlds.incident()))
    names = re.findall(r'<th scope="row"><a [^>]*>([^<]+)', ask(source, "/?sort=name").text)
    assert names == sorted(names)
    some = ask(source, "/?only=cron").text
    assert "cron/version_history" in some
    assert "more: show all" in some
    assert ">nobody<" not in some


def test_findings_stand_in_sentences_with_what_to_do() -> None:
    source = Source(look(worlds.incident()))
    moment = source.live.newest()
    source.live._moment = replace(moment, diagnoses=(findings.INCIDENT,))
    text = shown(source, "/")
    for finding in findings.INCIDENT.findings:
        assert finding.rule in text
        for remedy in finding.remedies:
            assert re.sub(r"\s+", " ", remedy.text) in text


def test_threads_are_looked_at_only_when_asked_for() -> None:
    source = Source(look(findings.stacked()))
    name = findings.stacked().holders[0].name
    assert "Its threads" not in shown(source, f"/holder?name={name}")
    assert "Its threads" in shown(source, f"/holder?name={name}&threads=1")


def test_a_plan_shows_its_steps_and_the_command() -> None:
    source = Source(look(worlds.incident()), allow_actions=True)
    text = shown(source, "/plan?holder=cron/version_history")
    assert source.plans == [("cron/version_history", None)]
    assert "terminate session 77" in text
    assert "pgusher free --apply k7f3" in text
    assert "Cancel" in text
    assert "Do the 1 safe step" in text


def test_a_moment_of_the_past_shows_who_held_what() -> None:
    times = iter(range(1_769_224_320, 1_769_300_000, 2))
    source = Source(look(worlds.incident()), clock=lambda: next(times))
    for _ in range(5):
        source.live.step()
    text = shown(source, "/history?at=2026-01-24T03:12:00Z")
    assert "97 slots taken" in text or "slots taken" in text
    assert "cron/version_history" in text
    assert "cannot read that: give a time" in shown(source, "/history?at=nonsense")
    assert "Nothing was seen then" in shown(source, "/history?at=2001-01-01T00:00Z")


def test_a_leak_is_foretold_by_what_was_recorded_and_the_hour_before_the_start_is_shown() -> None:
    world = worlds.quiet()
    now = world.facts.taken_at
    since = now - 120 * MINUTE
    counts = tuple(round(world.taken - 6 * (119 - minute) / 60) for minute in range(120))
    means = tuple(map(float, counts))
    kept = [Series(name, since, counts, counts, means) for name in (ALL, "script/leak.py")]
    source = Source(look(world))
    for second in (0, 2):
        moved = replace(world, facts=replace(world.facts, taken_at=now + second * 1_000_000))
        source.live._sums.extend(_sums(look(moved)))
    assert "by what was recorded" not in shown(source, "/")
    assert "script/leak.py" not in shown(source, "/")
    assert 'pgusher_seconds_to_full{server="5433"} +Inf' in ask(source, "/metrics").text
    source.kept = Past(since, now, tuple(kept))
    text = shown(source, "/")
    assert "full in 13 h at the rate of the last 1 h, by what was recorded" in text, text
    assert "script/leak.py" in text
    (line,) = (line for line in ask(source, "/metrics").text.splitlines() if line.startswith("pgusher_seconds_to_full"))
    assert float(line.split()[-1]) == pytest.approx(80 / 6 * 3600, rel=0.2)


def test_a_server_that_is_filling_is_no_good_news() -> None:
    world = worlds.quiet()
    now, port = world.facts.taken_at, world.facts.server.port
    source = Source(look(world))
    assert 'class="verdict good"' in ask(source, "/").text
    source.live._sums.clear()
    for second in range(0, 62, 2):
        at = now + (second - 60) * 1_000_000
        source.live._sums.append(Sum(at, port, (("script/leak.py", 12 + second // 2),), 92))
    page = ask(source, "/").text
    assert 'class="verdict warn"' in page
    assert "filling 12 of 92 ordinary slots taken" in shown(source, "/")
    assert "full in 1 min at the present rate" in page
    assert 'class="nowline"' in page
    assert "foreseen to" in page


def test_a_moment_of_which_numbers_alone_are_kept_has_no_states() -> None:
    source = Source(look(worlds.incident()))
    page = ask(source, f"/history?at={words.iso(worlds.NOW)[:19]}Z").text
    assert "unit/grafana-server" in page
    assert "None" not in page
    assert "in transaction" not in page


def test_hostile_names_are_shown_harmless() -> None:
    source = Source(look(worlds.hostile()))
    for path in ("/", "/history", "/plan"):
        text = ask(source, path).text
        Strict(text)
        assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]", text)
    for holder in worlds.hostile().holders:
        answer = ask(source, _url(holder.name))
        Strict(answer.text)
        assert "<script" not in answer.text.replace('<script src="/static/pgusher.js" defer></script>', "")


def _url(name: str) -> str:
    return "/holder?" + urlencode({"name": plain(name)})


@settings(max_examples=20)
@given(snapshots())
def test_any_server_can_be_shown(snapshot: Snapshot) -> None:
    source = Source(look(snapshot))
    Strict(ask(source, "/").text)
    for holder in snapshot.holders[:2]:
        Strict(ask(source, _url(holder.name)).text)
    for session in snapshot.facts.sessions[:2]:
        Strict(ask(source, f"/session?pid={session.pid}").text)
    assert ask(source, "/state.json").status_code == 200
    assert ask(source, "/metrics").status_code == 200


@pytest.mark.parametrize("slots", [1, 100, 1200, 5000])
def test_small_and_large_servers_have_a_page(slots: int) -> None:
    text = ask(Source(look(worlds.crowd(slots, min(slots, 40)))), "/").text
    assert (text.count('class="seat ') > slots) == (slots <= 1200)


def test_what_is_to_be_typed_asks_the_server_that_is_shown() -> None:
    source = Source(look(worlds.incident()))
    source.gate = Gate(Site(source, TOKEN, repeat="pgusher --host db.example").application(), TOKEN, frozenset({HOST}))
    for path in ("/", "/holder?name=cron/version_history"):
        typed = re.findall(r"<pre class=.command.[^>]*><code>(pgusher [^<]*)", ask(source, path).text)
        assert typed
        assert all(command.startswith("pgusher --host db.example ") for command in typed), typed
