"""What the screen of `why` says of threads that were not looked at, and that none of its commands is cut."""

from __future__ import annotations

import pytest

from pgusher.model.evidence import Gap
from pgusher.model.values import replace
from pgusher.surfaces.render.advice import broken
from pgusher.surfaces.render.diagnosed import Diagnosed
from pgusher.surfaces.render.findings import why_page
from pgusher.surfaces.render.screen import Screen
from tests.surfaces import findings

LEFT = Gap(
    "stacks",
    "stacks of 24 of 61 processes were taken; left out: cron/reports_of_the_month (12), script/b (25)",
    "",
    "pgusher why cron/reports_of_the_month",
    37,
)
OTHERS = tuple(Gap("cron", f"table {number}", "permission denied", "sudo pgusher") for number in range(3))


@pytest.mark.parametrize("width", [40, 80, None])
def test_who_was_left_out_is_told_whole_beside_any_number_of_other_gaps(width: int | None) -> None:
    seen = findings.stacked()
    seen = replace(seen, facts=replace(seen.facts, gaps=(*OTHERS, LEFT)))
    screen = Screen(width=width)
    page = screen.page(why_page(screen, [Diagnosed(seen, findings.INCIDENT)]))
    assert LEFT.what in " ".join(page.replace("  threads", "").split())
    assert LEFT.opens in page, "and the command that looks into one of them, uncut"


@pytest.mark.parametrize("width", [24, 40, 80])
def test_its_commands_are_one_command_to_the_shell_at_any_width(width: int) -> None:
    screen = Screen(width=width)
    page = screen.page(why_page(screen, [Diagnosed(findings.stacked(), findings.INCIDENT)], everything=True))
    pasted = [" ".join(part.split()) for part in page.replace("\\\n", " ").splitlines()]
    wanted = {r.command for f in findings.INCIDENT.findings for r in f.remedies if r.command}
    missing = {command for command in wanted if command not in pasted}
    assert all(command.split()[0] in {"ALTER", "SELECT"} for command in missing), "SQL goes on by itself"
    assert f"pgusher explain {findings.INCIDENT.findings[0].rule}" in {line.partition("  #")[0] for line in pasted} | {
        line.partition(" #")[0] for line in pasted
    }


def test_what_is_quoted_and_a_long_word_are_not_broken() -> None:
    name = "dead-thread-holds-slots:cron/stock_report"
    assert broken(f"pgusher free {name}", 24) == ["pgusher free \\", f"  {name}"]
    assert broken("pgusher who 'script/my own job' --all", 24) == [
        "pgusher who \\",
        "  'script/my own job' \\",
        "  --all",
    ]
