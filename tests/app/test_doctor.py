"""What the doctor says follows from what was seen, and from nothing else."""

from __future__ import annotations

import os
from dataclasses import replace

import pytest

from pgusher.app.doctor import Check, checks, examine, stacks_check
from pgusher.app.look import Look
from pgusher.app.request import Request
from pgusher.attribute import attribute
from pgusher.collect.stacks.sight import Sight
from pgusher.collect.stacks.sight import sight as real_sight
from pgusher.demo.server import EmbeddedServer
from pgusher.model.evidence import Gap
from pgusher.model.facts import Facts
from pgusher.model.server import Attempt, Rung, View
from tests.bed import Bed
from tests.bed.bed import APP, MONITOR
from tests.model.test_codec import FULL


def said(facts: Facts, *more: Facts) -> dict[str, Check]:
    look = Look(tuple(attribute(one) for one in (facts, *more)), 1.0)
    return {check.name: check for check in checks(look)}


def test_a_source_with_a_gap_sees_in_part_and_says_what_opens_it() -> None:
    sockets = said(FULL)["sockets"]
    assert sockets.sight == "partly"
    assert sockets.why == "the open files of 3 processes: permission denied"
    assert sockets.opens == "run pgusher as root"
    assert said(replace(FULL, gaps=()))["sockets"].sight == "sees"


def test_a_source_that_gave_nothing_is_blind() -> None:
    gap = Gap("cron", "the crontabs of 4 users", "permission denied", "sudo pgusher")
    assert said(replace(FULL, cron=(), gaps=(gap,)))["cron"].sight == "blind"


def test_titles_alone_are_half_blind_and_say_why() -> None:
    refusal = Attempt("user=app", "sorry, too many clients already", sqlstate="53300", refused_by="postgres")
    check = said(replace(FULL, view=View(Rung.TITLES, (refusal,), refuses_all=True)))["server on port 5432"]
    assert (check.sight, check.opens) == ("partly", "")
    assert "too many clients already" in check.why


def test_unknown_ceilings_are_told() -> None:
    assert said(replace(FULL, ceilings=None))["ceilings"].sight == "blind"


def test_several_servers_are_told_apart() -> None:
    other = replace(FULL, server=replace(FULL.server, port=5433))
    assert {"sessions of port 5432", "sessions of port 5433"} <= said(FULL, other).keys()


def test_a_role_that_may_not_see_others_is_told_what_to_grant(bed: Bed, server: EmbeddedServer) -> None:
    with bed.holder("idle", dsn=bed.dsn(MONITOR, "postgres")):
        found = {check.name: check for check in examine(Request(dsn=bed.dsn(APP, "app")))}
        assert found["sessions"].sight == "partly"
        assert f"grant pg_monitor to {APP}" in found["sessions"].opens.lower()
        found = {check.name: check for check in examine(Request(dsn=bed.dsn(MONITOR, "postgres")))}
        assert found["sessions"].sight == "sees"
        assert found["libpq"].sight == "sees"


GAP = Gap("stacks", "the threads of process 7", "permission denied", "run pgusher as root")


@pytest.mark.parametrize(
    ("seen", "spy", "sight", "words", "opens"),
    [
        (Sight(3, 2, 1), "/usr/bin/py-spy", "sees", "3 of 3 processes that hold slots may be read, 2 of them", ""),
        (Sight(3, 2, 1), None, "partly", "3 of 3", "pip install 'pgusher[why]'"),
        (Sight(3, 1, 0, (GAP, GAP)), "/x/py-spy", "partly", "1 of 3", "run pgusher as root"),
        (Sight(2, 0, 0, (GAP, GAP)), None, "blind", "0 of 2", "run pgusher as root; pip install 'pgusher[why]'"),
        (Sight(0), "/x/py-spy", "sees", "0 of 0", ""),
    ],
)
def test_what_stacks_would_show(seen: Sight, spy: str | None, sight: str, words: str, opens: str) -> None:
    check = stacks_check(seen, spy)
    assert (check.sight, check.opens) == (sight, opens)
    assert words in check.fact


def test_sessions_without_a_process_are_not_seen() -> None:
    check = stacks_check(Sight(0), "/x/py-spy", hidden=10)
    assert (check.sight, check.opens) == ("blind", "sudo pgusher")
    assert check.why == "of 10 sessions no process can be seen"
    assert stacks_check(Sight(3, 3), "/x/py-spy", hidden=1).sight == "partly"


def test_real_processes_are_tried(bed: Bed) -> None:
    with bed.holder("idle", sessions=2) as holder:
        found = {check.name: check for check in examine(Request(dsn=bed.dsn(MONITOR, "postgres")))}
        seen = real_sight([holder.pid, 1 << 22])
        assert (seen.processes, seen.python, seen.gaps) == (1, 1, ()) or os.geteuid() != 0
        assert "processes that hold slots may be read" in found["stacks"].fact


@pytest.mark.skipif(os.geteuid() == 0, reason="root may look into every process")
def test_the_process_of_somebody_else_is_a_gap() -> None:
    (gap,) = real_sight([1]).gaps
    assert gap.opens


def test_a_server_that_is_not_there_is_a_check_that_failed() -> None:
    found = {check.name: check for check in examine(Request(dsn="host=/nonexistent port=1"))}
    assert found["server"].sight == "blind"
