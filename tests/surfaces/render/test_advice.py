"""The commands to type next."""

from __future__ import annotations

import shlex
import subprocess
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pgusher.model.evidence import Gap
from pgusher.model.snapshot import Snapshot
from pgusher.surfaces.render.advice import Command, advice_lines, next_commands
from pgusher.surfaces.render.screen import Screen
from pgusher.surfaces.render.shell import quote
from pgusher.surfaces.render.tally import tally
from tests.surfaces import worlds


def typed(snapshot: Snapshot, repeat: str = "pgusher", gaps: bool = False) -> list[str]:
    return [command.text for command in next_commands(snapshot, tally(snapshot), repeat, gaps)]


def test_a_full_server_leads_to_its_holders() -> None:
    assert typed(worlds.incident()) == [
        "pgusher who unit/grafana-server",
        "pgusher who cron",
        "pgusher who unit/orders-api",
    ]


def test_the_reasons_have_both_sides() -> None:
    reasons = [command.reason for command in next_commands(worlds.incident(), tally(worlds.incident()))]
    assert reasons[:2] == ["62 of 100 slots, oldest 11 days", "17 of 100 slots, 8 runs, oldest 61 days"]


def test_where_root_would_see_more_that_comes_first() -> None:
    assert typed(worlds.half_blind()) == ["sudo pgusher", "pgusher who unit/grafana-server", "pgusher doctor"]


def test_root_is_not_told_to_become_root() -> None:
    snapshot = worlds.half_blind()
    as_root = replace(snapshot, facts=replace(snapshot.facts, host=replace(snapshot.facts.host, uid=0)))
    assert "sudo pgusher" not in typed(as_root)
    assert "pgusher doctor" in typed(as_root)


def test_a_file_has_no_root_and_no_doctor() -> None:
    shown = typed(worlds.half_blind(), "pgusher --from x.json")
    assert shown[0] == "pgusher --from x.json who unit/grafana-server"
    assert all("who" in text for text in shown)


def test_a_gap_of_no_server_leads_to_the_doctor() -> None:
    assert typed(worlds.quiet(), gaps=True)[-1] == "pgusher doctor"


def test_a_healthy_server_is_left_in_peace() -> None:
    assert typed(worlds.crowd(50, 3, 0.5)) == ["pgusher who unit/service-a0", "pgusher --watch 2"]


def test_an_empty_server_has_nothing_to_do() -> None:
    assert typed(worlds.World().snapshot()) == []


def test_nothing_seen_leads_to_the_doctor() -> None:
    assert typed(worlds.World().snapshot(ceilings=None)) == ["pgusher doctor"]


def test_the_connection_is_repeated() -> None:
    assert typed(worlds.incident(), "pgusher --port 5433")[1] == "pgusher --port 5433 who cron"


@pytest.mark.parametrize("word", ["plain", "cron/x", "it's", "a b", "", "$(x)", "-x", "é", "\n", "*"])
def test_a_word_is_quoted_for_the_shell(word: str) -> None:
    back = subprocess.run(
        ["sh", "-c", f"printf %s {quote(word)}"], capture_output=True, text=True, timeout=60, check=True
    )
    assert back.stdout == word


@given(st.text())
def test_quoting_is_that_of_shlex(word: str) -> None:
    assert shlex.split(quote(word)) == [word]


def test_lines_can_be_pasted_whole() -> None:
    lines = [Screen().paint(line) for line in advice_lines(Screen(), [Command("a b", "why"), Command("cc", "so")])]
    assert lines == ["next  a b  # why", "      cc   # so"]


def test_a_gap_that_needs_no_root_does_not_call_for_it() -> None:
    snapshot = worlds.incident(gaps=(Gap("postgres", "x", "y", "GRANT pg_monitor TO anna"),))
    other = replace(snapshot, facts=replace(snapshot.facts, host=replace(snapshot.facts.host, uid=1000)))
    assert typed(other)[-1] == "pgusher doctor"
    assert not any(text.startswith("sudo") for text in typed(other))
