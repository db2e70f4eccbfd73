"""The state, piece by piece; the whole screens are golden files."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pgusher.model.evidence import Gap
from pgusher.model.holder import Holder, HolderKind
from pgusher.model.server import Attempt, Ceilings, Rung, View
from pgusher.model.snapshot import Snapshot
from pgusher.surfaces.render.headline import refusal, seen_from, server_words, verdict
from pgusher.surfaces.render.holders import what
from pgusher.surfaces.render.screen import Screen
from pgusher.surfaces.render.state import state_page
from pgusher.surfaces.render.tally import tally
from tests.surfaces import worlds

TERMINAL = Screen()
PIPE = Screen(width=None, height=None)


def page(*snapshots: Snapshot, screen: Screen = TERMINAL, everything: bool = False, gaps: tuple[Gap, ...] = ()) -> str:
    return screen.page(state_page(screen, snapshots, gaps, everything=everything))


def seen(view: View, **facts: object) -> Snapshot:
    base = worlds.incident()
    return replace(base, facts=replace(base.facts, view=view, **facts))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("snapshot", "first"),
    [
        (worlds.incident(), "FULL: 97 of 97 ordinary slots taken, 3 of 3 reserved"),
        (worlds.incident(ceilings=Ceilings(100, 3, 5)),
         "FULL: 92 of 92 ordinary slots taken, 5 of 5 reserved, 3 of 3 superuser"),
        (worlds.crowd(600, 14), "NEARLY FULL: 570 of 597 ordinary slots taken, 0 of 3 reserved"),
        (worlds.incident(ceilings=Ceilings(200)), "REFUSES: 100 of 197 ordinary slots taken, 0 of 3 reserved"),
        (worlds.incident(ceilings=None), "REFUSES: 100 slots seen taken, the ceiling is not known"),
        (replace(worlds.quiet(), facts=replace(worlds.quiet().facts, ceilings=None)),
         "NOT KNOWN: 12 slots seen taken, the ceiling is not known"),
        (worlds.quiet(), "OK: 12 of 92 ordinary slots taken, 0 of 5 reserved, 0 of 3 superuser"),
        (worlds.quiet(limits=True), "LIMIT REACHED: 8 of 8 connections of role shop"),
    ],
)  # fmt: skip
def test_the_first_line_is_the_verdict_with_both_sides_of_every_count(snapshot: Snapshot, first: str) -> None:
    assert page(snapshot).split("\n")[0] == first


def test_the_badge_is_inverted_where_there_is_colour() -> None:
    screen = Screen(colour=True)
    assert screen.paint(verdict(screen, tally(worlds.incident()))).startswith(
        "\x1b[1;7;31m FULL \x1b[0m\x1b[1m 97 of 97"
    )
    assert screen.paint(verdict(screen, tally(worlds.quiet()))).startswith("\x1b[32mOK\x1b[0m")


@pytest.mark.parametrize(
    ("view", "words"),
    [
        (View(Rung.HELD, role="m"), "seen over a held connection as m"),
        (View(Rung.ORDINARY, role="m"), "seen through an ordinary slot as m"),
        (View(Rung.RESERVED, role="p"), "seen through a reserved slot as p"),
        (View(Rung.TITLES), "seen without SQL, by process titles and sockets, as root"),
        (View(Rung.NONE), "sessions not seen, as root"),
    ],
)
def test_the_rung_is_told(view: View, words: str) -> None:
    assert seen_from(seen(view)) == words
    assert words in page(seen(view))


@pytest.mark.parametrize(
    ("view", "words"),
    [
        (View(Rung.TITLES, refuses="no", refuses_all=True), 'refuses everybody: "no"'),
        (View(Rung.TITLES, refuses_all=True), "refuses everybody, superusers too"),
        (View(Rung.RESERVED, refuses="no"), 'refuses ordinary roles: "no"'),
        (View(Rung.NONE, refuses="no"), 'refused us: "no"'),
        (View(Rung.ORDINARY), ""),
    ],
)
def test_a_refusal_is_told_in_the_words_of_the_server(view: View, words: str) -> None:
    assert refusal(seen(view)) == words


def test_a_server_that_does_not_answer_is_not_said_to_be_well() -> None:
    silent = View(Rung.TITLES, (Attempt("it", "no answer before the deadline"),))
    for screen in (TERMINAL, PIPE):
        text = page(seen(silent), screen=screen)
        assert 'could not ask the server: "no answer before the deadline"' in text
        assert "refuses nobody" not in text
    assert "refuses nobody" not in page(seen(View(Rung.TITLES)), screen=PIPE)


def test_the_server_is_named_as_a_person_would() -> None:
    assert server_words(worlds.incident()) == ["PostgreSQL 15.18 on port 5432 (15/main)", "up 142 d"]
    standby = replace(worlds.SERVER, host="db.example", version=None, in_recovery=True, started=None, cluster_name=None)
    assert server_words(worlds.incident(server=standby)) == ["PostgreSQL at db.example:5432, a standby"]


def test_ceilings_from_a_file_are_called_likely() -> None:
    assert "max_connections likely 100, read from" in page(worlds.half_blind()).replace("\n", " ")
    assert "likely" not in page(worlds.incident())


def test_two_gaps_are_told_and_of_more_the_first_and_their_number() -> None:
    gap = Gap("sockets", "the open files of 9 processes", "permission denied", "run pgusher as root")
    two = page(worlds.incident(gaps=(gap, replace(gap, what="b"))))
    assert "half-blind: the open files of 9 processes: permission denied\n            b: permission denied\n" in two
    assert "and 2 more gaps: --all shows them" in page(worlds.incident(gaps=(gap,) * 3))
    assert "told by pgusher doctor" not in page(worlds.incident(gaps=(gap,) * 3), everything=True)
    assert "half-blind" in page(worlds.incident(), gaps=(gap,))


def test_all_limits_are_shown_when_all_is_asked_for_and_unknown_ones_are_not_called_none() -> None:
    assert "2 of 20 for role report" in page(worlds.quiet(limits=True), everything=True)
    assert "2 of 20" not in page(worlds.quiet(limits=True))
    assert "no role or database has one" in page(worlds.incident(), everything=True)
    assert "connection limits: not known without SQL" in page(worlds.half_blind(), everything=True)


def test_what_does_not_fit_is_summed_up_and_all_shows_it() -> None:
    crowd = worlds.crowd(600, 20)
    assert "further holders with" in page(crowd)
    everything = page(crowd, everything=True)
    assert "further holders" not in everything
    assert all(f" {holder.name} " in everything for holder in crowd.holders)
    assert all(f"\t{holder.name}\t" in page(crowd, screen=PIPE) for holder in crowd.holders)


@pytest.mark.parametrize("height", [10, 24, 30, 50])
def test_it_fits_the_height_where_it_can(height: int) -> None:
    lines = page(worlds.crowd(600, 26), screen=Screen(height=height)).count("\n")
    assert lines <= max(height - 1, 20)


def test_other_servers_have_one_line_with_the_command_that_shows_them() -> None:
    text = page(worlds.incident(), worlds.quiet(5433), worlds.quiet(5434))
    assert "also  pgusher --port 5433  # OK: 12 of 92" in text
    assert "      pgusher --port 5434  # OK: 12 of 92" in text
    assert "5433\tok\t12 of 92 ordinary slots taken" in page(worlds.incident(), worlds.quiet(), screen=PIPE)


def test_plain_has_no_picture_and_no_letters() -> None:
    text = page(worlds.incident(), screen=Screen(plain=True))
    assert text.startswith("status: full\nslots: 97 of 97 ordinary slots taken")
    assert "ggggg" not in text
    assert "letter" not in text
    assert "\n    62  unit/grafana-server" in text


def test_every_fact_of_the_picture_is_in_the_plain_form() -> None:
    picture, plain = page(worlds.incident()), page(worlds.incident(), screen=PIPE)
    for words in ("97 of 97", "3 of 3", "15.18", "port 5432", "reserved slot", "unit/orders-api", "cron/stock_sync"):
        assert words in picture
        assert words in plain


def test_nothing_at_all() -> None:
    gap = Gap("postgres", "no server", "none is running", "")
    assert page(gaps=(gap,)) == "no server seen\nhalf-blind: no server: none is running\n"
    assert page(worlds.World().snapshot()).count("nobody is connected") == 1


@pytest.mark.parametrize(
    ("holder", "words"),
    [
        (Holder("cron/a", HolderKind.CRON, "cron job @daily a (root)", (1,), (1, 2, 3), 3), "3 runs, @daily a (root)"),
        (Holder("cron/a", HolderKind.CRON, "cron job @daily a (root)", (1,), (1,), 1), "@daily a (root)"),
        (Holder("cron/a", HolderKind.CRON,
                "cron job 0 6 * * * cd /x/y && /v/bin/python3 a.py >> /log (root, /etc/crontab:3)",
                (1,), (1,), 1), "0 6 * * * python3 a.py >> /log (root, /etc/crontab:3)"),
        (Holder("unit/a", HolderKind.UNIT, "systemd unit a.service (The A), started by a.timer", (1,), (1, 2),
                program="nginx"), "nginx, 2 procs, The A"),
        (Holder("unit/a", HolderKind.UNIT, "systemd unit a.service of user bob", (1,), (1,)), "a.service"),
        (Holder("unit/g", HolderKind.UNIT, "systemd unit g.service (Grafana instance)", (1,), (1,), program="Grafana"),
         "Grafana instance"),
        (Holder("t", HolderKind.TERMINAL, "terminal pts/3 of anna: psql", (1,), (1,), program="psql"), "psql"),
        (Holder("pgusher", HolderKind.OWN, "x", (1,)), "this look"),
    ],
)  # fmt: skip
def test_what_a_holder_is_begins_with_what_tells_most(holder: Holder, words: str) -> None:
    assert what(holder) == words
