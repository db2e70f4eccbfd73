"""Every rule has a page, and what its examples say is what happens."""

from __future__ import annotations

from pathlib import Path

import pytest

from pgusher.diagnose.engine import Rule, diagnose, rules
from pgusher.model.codec import dump, load
from pgusher.model.findings import Diagnosis, Finding
from tests.diagnose.pages import KINDS, SECTIONS, Example, parse
from tests.diagnose.worlds import World
from tests.surfaces.test_printed_commands import works

RULES = {rule.name: rule for rule in rules()}
PAGES = {name: parse(Path(rule.page).read_text(encoding="utf-8")) for name, rule in RULES.items()}
EXAMPLES = [
    pytest.param(name, example, id=f"{name}-{at}-{example.kind}")
    for name, page in PAGES.items()
    for at, example in enumerate(page.examples)
]


def printed(finding: Finding) -> str:
    """A finding's first line, as `pgusher why` has it."""
    return f"{finding.severity.value.upper():<10}{finding.message}"


def diagnosed(example: Example) -> Diagnosis:
    world = World(example.world)
    snapshot = world.snapshot()
    return diagnose(
        snapshot,
        hangs=world.found_hangs(),
        earlier=world.before,
        history=world.past,
        budgets=world.budgets,
        strict=True,
    )


@pytest.mark.parametrize("name", RULES)
class TestEachPage:
    def test_it_has_the_sections_in_their_order(self, name: str) -> None:
        assert PAGES[name].title == name
        assert PAGES[name].sections == SECTIONS
        assert all(body.strip() for body in PAGES[name].bodies.values())

    def test_it_has_a_world_of_each_kind(self, name: str) -> None:
        assert {example.kind for example in PAGES[name].examples} == set(KINDS)

    def test_its_threshold_is_told(self, name: str) -> None:
        if RULES[name].ratio is not None:
            assert f"{RULES[name].ratio:g}" in PAGES[name].bodies["What it does"]


@pytest.mark.parametrize(("name", "example"), EXAMPLES)
def test_each_example_is_what_happens(name: str, example: Example) -> None:
    diagnosis = diagnosed(example)
    assert [finding.rule for finding in diagnosis.findings if finding.rule not in RULES] == []
    mine = [finding for finding in diagnosis.findings if finding.rule == name]
    if example.kind == "fires":
        assert example.printed, "the page does not tell what is printed"
        assert [printed(finding) for finding in mine] == list(example.printed)
        assert diagnosis.skipped == () or name not in {skipped.rule for skipped in diagnosis.skipped}
    else:
        assert mine == []
        assert name in diagnosis.asked or example.kind == "silent"


@pytest.mark.parametrize(("name", "example"), EXAMPLES)
def test_each_finding_is_whole(name: str, example: Example) -> None:
    diagnosis = diagnosed(example)
    for finding in diagnosis.findings:
        _is_whole(finding, RULES[finding.rule])
    assert load(Diagnosis, dump(diagnosis)) == diagnosis
    assert [f.order for f in diagnosis.findings] == sorted(f.order for f in diagnosis.findings)


def _is_whole(finding: Finding, rule: Rule) -> None:
    message = finding.message
    assert len(message) < 80
    assert "\n" not in message
    assert not message.endswith((".", "..."))
    assert message[0].islower() or message[0].isdigit() or message.startswith("Grafana ")  # a name
    assert any(letter.isdigit() for letter in message) or "its run" in message
    assert finding.severity.rank >= rule.severity.rank
    assert finding.evidence
    assert finding.remedies
    assert all(sentence.endswith(".") for sentence in finding.detail)
    assert finding.certainty.rank >= min(evidence.certainty.rank for evidence in finding.evidence)
    for remedy in finding.remedies:
        assert remedy.text
        assert (remedy.safety.value == "unsafe") == bool(remedy.loses), remedy


@pytest.mark.parametrize(("name", "example"), EXAMPLES)
def test_what_is_to_be_typed_can_be_typed(name: str, example: Example) -> None:
    typed = [r.command for f in diagnosed(example).findings if f.rule == name for r in f.remedies if r.command]
    assert [command for command in typed if not works(command, [])] == []
