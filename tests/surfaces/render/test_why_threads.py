"""What the screen of `why` says of threads that were not looked at."""

from __future__ import annotations

import pytest

from pgusher.model.evidence import Gap
from pgusher.model.values import replace
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
