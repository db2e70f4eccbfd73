"""Two rules that tell of one hang: one finding is left, with what the other saw."""

from __future__ import annotations

from pgusher.diagnose.fold import folded
from pgusher.model.evidence import Certainty, Gap
from pgusher.model.findings import Evidence, Finding, Severity
from pgusher.model.stacks import Hang
from pgusher.model.values import replace

HANGS = Finding(
    "dead-thread-holds-slots", Severity.WARNING, Certainty.LIKELY, "cron/older", "cron/older: hangs at older.py:10",
    ("It waits for nobody.",), (Evidence("it stands still"),), sessions=(8,), processes=(5,), slots=1,
    holder="cron/older", file="/srv/older.py", line=10, thread="MainThread",
)  # fmt: skip
BLOCKS = Finding(
    "blocked-by-idle", Severity.CRITICAL, Certainty.PROVEN, "cron/older", "cron/older: idle session blocks 2 sessions",
    ("Session 8 is idle.", "It waits for nobody."), (Evidence("pg_blocking_pids leads to 8"),), sessions=(8, 9, 10),
    processes=(5,), slots=3, holder="cron/older", file="/srv/older.py", line=10, thread="MainThread",
)  # fmt: skip
WAITS = Finding(
    "dead-thread-holds-slots", Severity.WARNING, Certainty.PROVEN, "cron/younger", "cron/younger: hangs",
    sessions=(9,), processes=(6,), slots=1, holder="cron/younger", file="/srv/younger.py", line=4, thread="MainThread",
)  # fmt: skip
WAITING = Hang(
    6, 1, "blocked-by-idle-session", Certainty.PROVEN, "waits", file="/srv/younger.py", line=4,
    waits_in="Connection.execute", sessions=(9, 8),
)  # fmt: skip


def test_a_hang_that_blocks_others_is_one_finding_with_the_evidence_of_both() -> None:
    (one,) = folded([HANGS, BLOCKS], ())
    assert (one.rule, one.severity, one.certainty) == ("dead-thread-holds-slots", Severity.CRITICAL, Certainty.LIKELY)
    assert one.detail == ("It waits for nobody.", "Idle session blocks 2 sessions.", "Session 8 is idle.")
    assert one.evidence == (*HANGS.evidence, *BLOCKS.evidence)
    assert one.sessions == (8,), "a plan must not end those that wait"


def test_a_stuck_run_that_blocks_others_is_one_finding_too() -> None:
    (one,) = folded([BLOCKS, replace(HANGS, rule="stuck-job")], ())
    assert one.rule == "stuck-job"


def test_what_is_at_another_line_or_has_none_is_told_by_itself() -> None:
    for other in (replace(BLOCKS, line=11), replace(BLOCKS, file=None, line=None, thread=None)):
        assert len(folded([HANGS, other], ())) == 2


def test_who_waits_for_a_session_that_blocks_is_told_with_it() -> None:
    (one,) = folded([WAITS, BLOCKS], (WAITING,))
    assert one.rule == "blocked-by-idle"
    assert one.detail[-1] == "Process 6 waits for it at Connection.execute at younger.py:4."


def test_a_waiter_of_another_session_or_of_a_leader_stays() -> None:
    assert len(folded([WAITS, BLOCKS], (replace(WAITING, sessions=(9, 77)),))) == 2
    assert len(folded([WAITS, replace(BLOCKS, severity=Severity.NOTE)], (WAITING,))) == 2
    assert len(folded([WAITS, BLOCKS], Gap("stacks", "the threads", "denied", "be root"))) == 2


def test_the_worst_is_first_afterwards() -> None:
    note = replace(HANGS, severity=Severity.WARNING, key="cron/other", holder="cron/other", slots=9)
    assert [one.key for one in folded([note, HANGS, BLOCKS], ())] == ["cron/older", "cron/other"]
