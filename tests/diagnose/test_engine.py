"""Needs, gaps, the ignore list, yielding, and rules that raise."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from pgusher.diagnose.case import Case
from pgusher.diagnose.engine import BROKEN, Rule, diagnose, names, rule_of, rules
from pgusher.model.evidence import Certainty, Gap
from pgusher.model.findings import Evidence, Finding, Severity
from pgusher.model.server import Rung, View
from tests.diagnose.worlds import World

ROOT = Path(__file__).resolve().parents[2]
SMALL = """
slots = 20
[[process]]
argv = "python3 api.py"
unit = "api"
sessions = [{ count = 5, idle = "2s" }]
"""
STUCK = """
slots = 20
[[process]]
argv = "python3 sync.py"
cron = "*/10 * * * * root python3 /opt/sync.py"
age = "2d"
sessions = [{ count = 17, idle = "2d" }]
"""


def made(name: str, check: Any, **more: Any) -> Rule:
    """A rule as a module of the package would make it."""
    module = ModuleType(f"pgusher.diagnose.rules.{name}", "what it finds.\n\nMore.")
    module.__file__ = f"/x/{name}.py"
    for key, value in {"check": check, "WORST": Severity.CRITICAL, **more}.items():
        setattr(module, key, value)
    return rule_of(module)


def found(name: str, holder: str | None = None, severity: Severity = Severity.WARNING) -> Finding:
    return Finding(name, severity, Certainty.PROVEN, "k", "1 thing", evidence=(Evidence("x"),), holder=holder)


class TestDiscovery:
    def test_every_module_of_the_package_is_a_rule_and_has_a_page(self) -> None:
        files = {path.stem for path in (ROOT / "src/pgusher/diagnose/rules").glob("*.py")} - {"__init__"}
        pages = {path.stem for path in (ROOT / "src/pgusher/diagnose/rules").glob("*.md")}
        assert files == pages
        assert [rule.name for rule in rules()] == list(names()) == sorted(file.replace("_", "-") for file in files)

    def test_a_rule_is_what_its_module_says(self) -> None:
        def check(sessions: object, ratio: float, room: object = None) -> Iterator[Finding]:
            yield from ()

        rule = made("a_bad_thing", check, RATIO=0.5, YIELDS_TO=("*",))
        assert (rule.name, rule.summary, rule.page) == ("a-bad-thing", "what it finds", "/x/a_bad_thing.md")
        assert (rule.needs, rule.defaults) == (("sessions", "ratio", "room"), (None,))
        assert (rule.ratio, rule.yields_to) == (0.5, ("*",))

    def test_every_need_of_a_rule_is_one_that_a_case_has(self) -> None:
        known = Case(World(SMALL).snapshot()).needs | {"ratio"}
        assert {
            name: set(rule.needs) - known for rule in rules() for name in [rule.name] if set(rule.needs) - known
        } == {}

    def test_every_need_is_told_in_the_table_of_the_module(self) -> None:
        text = sys.modules[Case.__module__].__doc__ or ""
        told = {
            name.strip(" `")
            for line in text.splitlines()
            if line.startswith("| `")
            for name in line.split("|")[1].split(",")
        }
        assert told == Case(World(SMALL).snapshot()).needs | {"ratio"}

    def test_names_are_told_without_loading_a_rule(self) -> None:
        program = "import sys; from pgusher.diagnose.engine import names; names(); print(*sys.modules)"
        done = subprocess.run(
            [sys.executable, "-c", program],
            env={"PYTHONPATH": str(ROOT / "src")},
            capture_output=True,
            text=True,
            check=True,
        )
        loaded = done.stdout.split()
        assert not [name for name in loaded if name.startswith("pgusher.diagnose.rules.")]
        assert "inspect" not in loaded

    def test_rules_are_found_in_a_zip_file_too(self, tmp_path: Path) -> None:
        archive = shutil.make_archive(str(tmp_path / "all"), "zip", ROOT / "src", "pgusher")
        program = "from pgusher.diagnose.engine import names; print(*names())"
        told = [
            subprocess.run([sys.executable, "-c", program], env={"PYTHONPATH": path}, capture_output=True, check=True)
            for path in (archive, str(ROOT / "src"))
        ]
        assert told[0].stdout == told[1].stdout != b""


class TestNeeds:
    def test_what_is_missing_skips_the_rule_with_the_gap(self) -> None:
        snapshot = World(f'view = "titles"\n{SMALL}').snapshot()
        skipped = {one.rule: one for one in diagnose(snapshot, strict=True).skipped}
        assert skipped["idle-pool-oversized"].need == "activity"
        assert skipped["no-idle-timeout"].gap.why == "the server was seen without SQL"
        assert "slots-exhausted" not in skipped

    def test_without_pg_monitor_what_other_roles_do_is_not_known(self) -> None:
        snapshot = World(f'view = "ordinary"\n{SMALL}').snapshot()
        (gap,) = [one.gap for one in diagnose(snapshot, strict=True).skipped if one.rule == "blocked-by-idle"]
        assert gap.opens == "GRANT pg_monitor TO postgres"

    def test_another_host_s_processes_are_not_asked_about(self) -> None:
        snapshot = World(
            'local = false\nslots = 20\n[[remote]]\nhost = "10.0.0.7"\nsessions = [{ count = 3 }]'
        ).snapshot()
        skipped = {one.rule: one.gap for one in diagnose(snapshot, strict=True).skipped}
        assert "another host" in skipped["fork-shared-socket"].why
        assert "another host" in skipped["stuck-job"].why

    def test_an_optional_need_that_is_missing_gets_its_default(self) -> None:
        given: list[object] = []

        def check(now: int, room: object = "nothing") -> Iterator[Finding]:
            given.append(room)
            yield from ()

        snapshot = World(SMALL.replace("slots = 20", "slots = 0")).snapshot()
        assert diagnose(snapshot, of=[made("x", check)]).asked == ("x",)
        assert given == ["nothing"]

    def test_a_server_of_which_nothing_was_seen_gives_no_finding_and_no_error(self) -> None:
        snapshot = World("slots = 0\n").snapshot()
        facts = replace(snapshot.facts, view=View(Rung.NONE), sessions=(), settings=())
        diagnosis = diagnose(replace(snapshot, facts=facts, chains=(), holders=()), strict=True)
        assert diagnosis.findings == ()

    def test_hangs_that_could_not_be_seen_are_told_with_their_reason(self) -> None:
        gap = Gap("stacks", "the threads of 3 processes", "permission denied", "run pgusher as root")
        case = Case(World(SMALL).snapshot(), hangs=gap)
        assert case.need("hangs") == gap
        assert Case(World(SMALL).snapshot(), hangs=[]).need("hangs") == ()


class TestIgnoring:
    def test_a_rule_is_ignored_by_its_name(self) -> None:
        diagnosis = diagnose(World(STUCK).snapshot(), ignore=["stuck-job"])
        assert "stuck-job" not in {finding.rule for finding in diagnosis.findings}
        assert "stuck-job" not in diagnosis.asked

    def test_a_finding_is_ignored_by_its_key_and_that_is_told(self) -> None:
        diagnosis = diagnose(World(STUCK).snapshot(), ignore=["stuck-job:cron/sync", "stuck-job:cron/other"])
        assert "stuck-job" not in {finding.rule for finding in diagnosis.findings}
        assert diagnosis.ignored == ("stuck-job:cron/sync",)

    def test_a_ratio_of_the_configuration_counts(self) -> None:
        snapshot = World(SMALL).snapshot()
        assert diagnose(snapshot).findings == ()
        (finding,) = diagnose(snapshot, ratios={"slots-running-out": 0.3}).findings
        assert finding.message == "6 of 17 ordinary slots taken, 11 left"


class TestYielding:
    def rules(self, severity: Severity = Severity.WARNING) -> list[Rule]:
        def general(now: int) -> Iterator[Finding]:
            yield found("general", "unit/a")
            yield found("general", "unit/b")

        def special(now: int) -> Iterator[Finding]:
            yield found("special", "unit/a", severity)

        return [made("general", general, YIELDS_TO=("special",)), made("special", special)]

    def test_who_yields_is_silent_about_what_another_has_named(self) -> None:
        told = diagnose(World(SMALL).snapshot(), of=self.rules()).findings
        assert {(finding.rule, finding.holder) for finding in told} == {("general", "unit/b"), ("special", "unit/a")}

    def test_not_for_a_note(self) -> None:
        told = diagnose(World(SMALL).snapshot(), of=self.rules(Severity.NOTE)).findings
        assert len(told) == 3


def _broken(now: int) -> Iterator[Finding]:
    yield found("broken")
    raise ValueError("no such thing")


class TestARuleThatRaises:
    def test_costs_nothing_but_itself(self) -> None:
        rule = made("broken", _broken)
        diagnosis = diagnose(World(SMALL).snapshot(), of=[rule, *rules()])
        (skipped,) = [one for one in diagnosis.skipped if one.rule == "broken"]
        assert skipped.gap.why == "ValueError: no such thing"
        assert BROKEN not in {finding.rule for finding in diagnosis.findings}

    def test_is_a_finding_in_tests(self) -> None:
        (finding,) = [
            one
            for one in diagnose(World(SMALL).snapshot(), of=[made("broken", _broken)], strict=True).findings
            if one.rule == BROKEN
        ]
        assert finding.severity is Severity.CRITICAL
        assert finding.message == "rule broken raised ValueError"


def test_the_same_snapshot_gives_the_same_diagnosis() -> None:
    snapshot = World(STUCK).snapshot()
    assert diagnose(snapshot) == diagnose(snapshot)


@pytest.mark.parametrize("rule", rules(), ids=lambda rule: rule.name)
def test_no_rule_looks_at_a_session_of_pgusher_itself(rule: Rule) -> None:
    diagnosis = diagnose(World("slots = 1\nsuperuser_reserved = 0\n").snapshot(), of=[rule], strict=True)
    own = {50_001}
    assert not [finding for finding in diagnosis.findings if own & set(finding.sessions)]
