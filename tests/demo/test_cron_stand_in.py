"""The stand-in for cron does with a crontab what cron does, as far as it knows the crontab's language."""

from __future__ import annotations

import re
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pgusher.demo import cron_stand_in


def test_it_runs_what_cron_would_run(tmp_path: Path) -> None:
    crontab, out = tmp_path / "crontab", tmp_path / "out"
    report = f"echo $NAME $0 $(ps -o pid=,sid= -p $$) > {out}"
    crontab.write_text(
        f"# a comment\n\nNAME='of the job'\nHOME={tmp_path}\n@reboot {report}%cut off\n0 0 1 1 * false\n"
    )
    process = subprocess.Popen([sys.executable, "-m", "pgusher.demo.cron_stand_in", str(crontab)])
    try:
        deadline = time.monotonic() + 60
        while not out.exists() or not out.read_text():
            assert time.monotonic() < deadline
            time.sleep(0.02)
    finally:
        process.kill()
        process.wait()
    *words, pid, session = out.read_text().split()
    assert words == ["of", "the", "job", "/bin/sh"]
    assert pid == session, "a job has a session of its own"


@pytest.mark.parametrize("line", ["nonsense", "* * * *", "= 1", "@daily x", "* * * * *"])
def test_a_line_that_is_neither_is_told_with_its_number(tmp_path: Path, line: str) -> None:
    path = tmp_path / "crontab"
    path.write_text(f"A=1\n{line}\n")
    with pytest.raises(ValueError, match=f"{re.escape(str(path))}:2: "):
        cron_stand_in.Crontab(str(path))


@pytest.mark.parametrize(
    ("field", "expected"),
    [("*", set(range(60))), ("*/20", {0, 20, 40}), ("5", {5}), ("1-3", {1, 2, 3}), ("5-55/25,7", {5, 30, 55, 7})],
)
def test_fields(field: str, expected: set[int]) -> None:
    assert cron_stand_in.values(field, 0, 59) == expected


@given(field=st.text(alphabet="0123456789*/,-x ", max_size=12))
def test_any_other_field_is_a_value_error(field: str) -> None:
    try:
        found = cron_stand_in.values(field, 0, 59)
    except ValueError:
        return
    assert found <= set(range(60))


@pytest.mark.parametrize(("day", "expected"), [(1, True), (2, False)])
def test_sunday_is_0_and_7(day: int, expected: bool) -> None:
    now = time.struct_time((2026, 3, day, 0, 0, 0, (day + 5) % 7, 60, 0))  # 1 March 2026 was a Sunday
    due = cron_stand_in.due
    assert due("* * * * 0", now) is due("* * * * 7", now) is expected
