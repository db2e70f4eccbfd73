"""What ends a finding is planned by `pgusher free` first, by hand second."""

from __future__ import annotations

import pytest

from pgusher.diagnose.remedies import FREED, with_free
from pgusher.model.evidence import Certainty
from pgusher.model.findings import Finding, Remedy, Safety, Severity
from pgusher.model.values import replace
from pgusher.remedy.plan.drafts import RULES
from tests.remedy.planning import STUCK, look

KILL = Remedy("end it", Safety.UNSAFE, "kill 7", "its work")
LOOK = Remedy("look", Safety.SAFE, "pgusher why cron/x")
FOUND = Finding(
    "stuck-job", Severity.WARNING, Certainty.LIKELY, "cron/x", "it hangs", remedies=(LOOK, KILL), holder="cron/x"
)


def test_the_rules_are_those_that_a_plan_knows_a_lever_for() -> None:
    assert FREED == RULES


def test_the_plan_comes_before_what_is_done_by_hand() -> None:
    assert [one.command for one in with_free(FOUND).remedies] == [
        "pgusher why cron/x", "pgusher free stuck-job:cron/x", "kill 7",
    ]  # fmt: skip


def test_what_no_plan_ends_stays_as_it_is() -> None:
    other = replace(FOUND, rule="no-idle-timeout")
    assert with_free(other) is other


@pytest.mark.parametrize("key", ["cron/x:Queue.join at x.py:5", "a;rm -rf b", "$(x)", "'", ""])
def test_a_name_that_a_shell_would_take_apart_is_not_printed(key: str) -> None:
    assert with_free(replace(FOUND, key=key)).remedies[1].command in {
        "pgusher free cron/x", "pgusher free stuck-job:",
    }  # fmt: skip
    assert with_free(replace(FOUND, key="a b", holder="c d")).remedies[1].command == "pgusher free stuck-job"


def test_the_engine_says_it() -> None:
    _, diagnosis = look(STUCK)
    (finding,) = (one for one in diagnosis.findings if one.rule == "stuck-job")
    commands = [one.command for one in finding.remedies]
    assert commands.index("pgusher free stuck-job:cron/version_history") < next(
        at for at, command in enumerate(commands) if command.startswith("kill ")
    )
