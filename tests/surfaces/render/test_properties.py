"""Whatever is shown, wherever: it never fails, never exceeds the width, and never lets a control byte out."""

from __future__ import annotations

import json
import re
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from pgusher.model.findings import Severity
from pgusher.model.snapshot import Snapshot
from pgusher.model.values import replace
from pgusher.surfaces.render import cells
from pgusher.surfaces.render.diagnosed import Diagnosed, about
from pgusher.surfaces.render.doctor import doctor_page
from pgusher.surfaces.render.find import find
from pgusher.surfaces.render.findings import why_page
from pgusher.surfaces.render.nagios import nagios
from pgusher.surfaces.render.schema import json_schema
from pgusher.surfaces.render.screen import Screen
from pgusher.surfaces.render.state import state_page
from pgusher.surfaces.render.who import who_page
from pgusher.surfaces.render.whyjson import why_json
from tests.surfaces.fakes import Check
from tests.surfaces.random_findings import diagnoses, stacks
from tests.surfaces.random_worlds import snapshots, texts

SGR = re.compile(r"\x1b\[[0-9;]*m")
CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\ud800-\udfff]")

screens = st.builds(
    lambda width, height, colour, signs, plain: Screen(
        width=width, height=height if width else None, colour=colour, unicode=signs[0], encoding=signs[1], plain=plain
    ),
    st.one_of(st.none(), st.integers(1, 160)),
    st.integers(1, 60),
    st.booleans(),
    st.sampled_from([(True, "utf-8"), (False, "ascii"), (False, "latin-1")]),
    st.booleans(),
)


def harmless(page: str, screen: Screen) -> None:
    """Holds a page against all promises."""
    page.encode(screen.encoding)
    bare = SGR.sub("", page)
    assert screen.colour or bare == page
    assert not CONTROL.search(bare)
    assert screen.pipe or "\t" not in bare
    assert page == "" or page.endswith("\n")
    if screen.width is not None:
        # Only one word of a command may be wider than the terminal: "next  /a/very/long/path/pgusher \".
        assert all(cells.width(line) <= screen.width or len(line.split()) <= 3 for line in bare.split("\n"))


@given(st.lists(snapshots(), max_size=3), screens, st.booleans())
def test_the_state_of_anything(seen: list[Snapshot], screen: Screen, everything: bool) -> None:
    page = screen.page(state_page(screen, tuple(seen), everything=everything))
    assert page
    harmless(page, screen)


@given(snapshots(), screens, st.booleans(), st.one_of(st.none(), st.integers(1, 40).map(str), texts))
def test_who_in_anything(seen: Snapshot, screen: Screen, everything: bool, word: str | None) -> None:
    found = find((seen,), word)
    harmless(screen.page(who_page(screen, found.matches, word, seen.facts.gaps, everything)), screen)


@given(st.lists(st.builds(Check, texts, st.sampled_from(["sees", "partly", "blind"]), texts, texts, texts)), screens)
def test_any_checks(checks: list[Check], screen: Screen) -> None:
    harmless(screen.page(doctor_page(screen, checks)), screen)


@settings(max_examples=30)  # each is several pages of several servers
@given(
    screens,
    st.lists(st.tuples(snapshots(), diagnoses, st.lists(stacks, max_size=3)), max_size=2),
    st.booleans(),
    st.sampled_from([None, "app", "1", "script/x"]),
)
def test_any_why(screen: Screen, seen: list[Any], everything: bool, word: str | None) -> None:
    servers = [
        Diagnosed(replace(snapshot, facts=replace(snapshot.facts, stacks=tuple(taken))), diagnosis)
        for snapshot, diagnosis, taken in seen
    ]
    if word is not None:
        servers = about(servers, find([one.snapshot for one in servers], word).matches)
    harmless(screen.page(why_page(screen, servers, everything=everything)), screen)
    for one in servers:
        told = one.diagnosis.findings
        page = screen.page(state_page(screen, (one.snapshot,), findings=told, everything=everything))
        harmless(page, screen)
    Draft202012Validator(json_schema()).validate(json.loads(json.dumps(why_json(servers, (), 1.0, word))))


@given(st.lists(st.tuples(snapshots(), diagnoses), max_size=3), st.sampled_from([*Severity, None]))
def test_any_line_for_nagios(seen: list[Any], least: Severity | None) -> None:
    line, code = nagios([Diagnosed(snapshot, diagnosis) for snapshot, diagnosis in seen], least)
    assert code in (0, 1, 2)
    assert "\n" not in line
    assert line.count("|") == 1
    assert not CONTROL.search(line)
