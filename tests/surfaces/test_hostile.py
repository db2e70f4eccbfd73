"""Text that strangers chose, on every surface: not one byte of it does anything."""

from __future__ import annotations

import json
import re
from dataclasses import fields, is_dataclass, replace
from typing import Any

import pytest

from pgusher.errors import UnreachableError
from pgusher.model.snapshot import Snapshot
from tests.surfaces import findings, worlds
from tests.surfaces.fakes import Check, FakeApp, Look, Shell

SGR = re.compile(r"\x1b\[[0-9;]*m")
FRAME = re.compile(r"\x1b\[[HJK]")
BAD = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\ud800-\udfff]")
COMMANDS: tuple[list[str], ...] = (
    [],
    ["--all"],
    ["--plain"],
    ["--json"],
    ["--verbose"],
    ["who"],
    ["who", "--all"],
    ["who", "--plain", "--all"],
    ["who", "--json"],
    ["who", "77"],
    ["why"],
    ["why", "--all"],
    ["why", "--plain", "--all"],
    ["why", "--json"],
    ["why", "--format", "nagios"],
    ["why", "77"],
    ["doctor"],
    ["doctor", "--json"],
    ["completion", "names", "--", "who"],
)


def planted(value: Any, bad: str, skip: frozenset[str] = frozenset({"kind", "backend_type"})) -> Any:
    """The same value of the model with the hostile text in every field that is a free text."""
    if is_dataclass(value) and not isinstance(value, type):
        changed = {f.name: planted(getattr(value, f.name), bad) for f in fields(value) if f.name not in skip}
        return replace(value, **changed)
    if isinstance(value, tuple):
        return tuple(planted(item, bad) for item in value)
    return bad if type(value) is str else value


def safe(text: str, terminal: bool) -> None:
    bare = SGR.sub("", FRAME.sub("", text) if terminal else text)
    found = BAD.search(bare)
    assert found is None, bare[max(0, found.start() - 60) : found.end() + 60]


@pytest.mark.parametrize("terminal", [True, False])
@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
@pytest.mark.parametrize("world", [worlds.hostile, worlds.half_blind, worlds.incident])
def test_nothing_hostile_leaves(world: Any, words: list[str], terminal: bool) -> None:
    snapshot: Snapshot = planted(world(), worlds.HOSTILE)
    snapshot = replace(snapshot, facts=replace(snapshot.facts, stacks=(findings.EVIL_STACKS,)))
    bad = worlds.HOSTILE
    app = FakeApp(
        Look((snapshot,), gaps=snapshot.facts.gaps),
        checks=(Check(bad, "blind", bad, bad, bad), Check(bad, "sees", bad)),
    )
    app.diagnoses = {snapshot.facts.server.port: findings.EVIL}
    found = Shell(app, terminal).run(*words)
    assert found.code in {0, 1} or words[-1] == "77" or (words[-1] == "nagios" and found.code == 2)
    safe(found.out, terminal)
    safe(found.err, terminal)
    assert (
        "owned" in found.out or words[:1] == ["completion"] or (found.code == 2 and words[-1] == "77")
    )  # it was there to be shown


@pytest.mark.parametrize("terminal", [True, False])
def test_nor_from_errors_words_and_names_that_are_near(terminal: bool) -> None:
    bad = worlds.HOSTILE.replace("\udc80", "")
    app = FakeApp(UnreachableError(bad, bad, bad))
    for words in ([], [bad], ["who", bad + "x"], [f"--{bad}"], ["--port", bad], ["--json"]):
        found = Shell(app, terminal).run(*words)
        safe(found.out, terminal)
        safe(found.err, terminal)
        assert found.err.startswith("pgusher: ")
        assert found.err.count("\n") <= 3
    named = Shell(FakeApp(Look((planted(worlds.incident(), bad),))), terminal).run("who", bad[:-3])
    safe(named.err, terminal)


@pytest.mark.parametrize("words", [["--watch", "1"], ["who", "owned", "--watch", "1"]])
def test_nor_while_watching(words: list[str]) -> None:
    def stop(count: int) -> None:
        if count == 2:
            raise KeyboardInterrupt

    app = FakeApp(Look((worlds.hostile(),)), UnreachableError(worlds.HOSTILE))
    found = Shell(app, True, on_sleep=stop).run(*words)
    assert found.out.count("\x1b[H") == 2
    safe(found.out, True)


def test_json_gives_the_very_text_to_a_program() -> None:
    found = Shell(FakeApp(Look((worlds.hostile(),)))).run("who", "--json")
    assert found.out.isascii()
    session = json.loads(found.out)["matches"][0]["sessions"][0]
    assert session["application_name"] == worlds.HOSTILE


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "koi8-r"])
def test_any_encoding_can_be_written(encoding: str) -> None:
    for words in COMMANDS:
        found = Shell(FakeApp(Look((worlds.hostile(),))), True, encoding=encoding).run(*words)
        found.out.encode(encoding)
        assert found.code in {0, 1}
