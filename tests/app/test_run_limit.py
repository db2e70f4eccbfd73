"""The time limit of a run that was given none: from the crontab line or the timer that has started it."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from pgusher.app.run_limit import FromSchedule, _of_unit, below_cron, limit_from_schedule, of_command, own_unit
from pgusher.guard.history import History
from pgusher.model.jobs import CronEntry, CronKind
from tests.bed.cron import Cron, command, needs_cron, why_no_hurry
from tests.bed.holder import ROOT
from tests.guard.shapes import until

MINUTE = 60_000_000


def line(schedule: str, text: str = "pgusher run -- python x.py", number: int = 3, user: str = "root") -> CronEntry:
    return CronEntry(CronKind.SYSTEM, "/etc/crontab", number, schedule, text, user)


@pytest.mark.parametrize(
    ("argv", "wanted"),
    [
        (["/bin/sh", "-c", "pgusher run -- python x.py"], "9m"),
        (["/usr/bin/python3", "/usr/bin/pgusher", "run", "--", "python", "x.py"], "9m"),
        (["/bin/sh", "-c", "pgusher run -- python y.py"], None),
        (["pgusher", "run", "--", "python", "x.py", "--all"], None),
        ([], None),
    ],
)
def test_a_command_is_found_again_as_cron_starts_it(argv: list[str], wanted: str | None) -> None:
    found = of_command(argv, [line("*/10 * * * *")], "root")
    assert found == (FromSchedule(wanted, "schedule */10 * * * * of /etc/crontab:3") if wanted else None)


def test_of_two_lines_the_longer_limit_as_neither_is_known_to_be_it() -> None:
    entries = [line("*/10 * * * *"), line("0 4 * * *", number=7)]
    found = of_command(["/bin/sh", "-c", entries[0].command], entries, "root")
    assert found == FromSchedule("21h", "schedule 0 4 * * * of /etc/crontab:7")
    assert of_command(["/bin/sh", "-c", entries[0].command], [*entries, line("@reboot", number=9)], "root") is None


def test_another_users_line_is_not_ours() -> None:
    words = ["/bin/sh", "-c", "pgusher run -- python x.py"]
    assert of_command(words, [line("*/10 * * * *", user="bob")], "alice") is None
    assert of_command(words, [line("*/10 * * * *", user="bob")], "bob") is not None


def tree(root: Path, *chain: tuple[int, int, str]) -> str:
    for pid, parent, name in chain:
        (root / str(pid)).mkdir()
        (root / str(pid) / "comm").write_text(f"{name}\n")
        (root / str(pid) / "stat").write_text(f"{pid} ({name}) S {parent} " + "0 " * 40)
    return str(root)


def test_who_is_below_a_cron_daemon(tmp_path: Path) -> None:
    proc = tree(tmp_path, (1, 0, "init"), (9, 1, "cron"), (10, 9, "cron"), (11, 10, "sh"), (12, 11, "pgusher"))
    assert below_cron(proc, 12) == 11
    assert below_cron(proc, 1) is None
    assert below_cron(proc, 99) is None


def test_who_was_started_by_hand_has_none(tmp_path: Path) -> None:
    proc = tree(tmp_path, (1, 0, "init"), (9, 1, "bash"), (12, 9, "pgusher"))
    assert limit_from_schedule(proc, 12) is None
    assert limit_from_schedule(proc, 99) is None


@pytest.mark.parametrize(
    ("text", "unit"),
    [
        ("0::/system.slice/report.service\n", "report.service"),
        ("1:name=systemd:/system.slice/report.service\n0::/\n", "report.service"),
        ("0::/system.slice/cron.service\n", ""),
        ("0::/user.slice/user-0.slice/session-1.scope\n", ""),
        ("\n:\n", ""),
    ],
)
def test_the_unit_is_that_of_the_cgroup(tmp_path: Path, text: str, unit: str) -> None:
    (tmp_path / "5").mkdir()
    (tmp_path / "5" / "cgroup").write_text(text)
    assert own_unit(str(tmp_path), 5) == unit


def test_a_unit_has_the_limit_of_its_timer() -> None:
    found = _of_unit("report.service", lambda unit: (60 * MINUTE, unit.replace("service", "timer")))
    assert found == FromSchedule("54m", "timer report.timer")
    assert _of_unit("report.service", lambda _unit: (None, "report.timer")) is None
    assert _of_unit("no-such-unit-here.service") is None


@needs_cron
@pytest.mark.skipif(bool(why_no_hurry()), reason=why_no_hurry() or "there is one")
def test_under_a_real_cron_it_is_that_of_the_line_and_on_record(tmp_path: Path) -> None:
    run = command(sys.executable, "-m", "pgusher", "run", "--name")
    environ = {"PGUSHER_STATE": str(tmp_path), "PYTHONPATH": f"{ROOT}/src"}
    lines = [
        f"* * * * * root {run} plain -- true",
        f"* * * * * root {run} none --timeout none -- true",
        f"@reboot root {run} once -- true",
    ]
    cron = Cron(lines, processes=0, env=environ, hurry=True)
    wanted = {"plain": 54_000_000, "none": None, "once": None}
    try:
        cron.start()
        history = History(str(tmp_path / "history"))
        until(lambda: wanted.keys() <= history.last().keys(), 60)
        last = history.last()
    finally:
        cron.stop()
    assert {name: entry.limit for name, entry in last.items()} == wanted
    assert last["plain"].limit_source.startswith("schedule * * * * * of /etc/crontab:")
