"""The staged crontab: read as cron reads it, and quiet for as long as the staging takes."""

from __future__ import annotations

import os
import stat
import time
from pathlib import Path

import pytest

from pgusher.demo import cron_stand_in, crontab
from tests.bed import needs_root

DAY = 24 * 60
JOBS = crontab.jobs(time.struct_time((2026, 3, 4, 12, 0, 0, 2, 63, 0)))


def at(minute: int) -> time.struct_time:
    """A minute of a day."""
    return time.localtime(time.mktime((2026, 3, 4, 0, minute, 30, 0, 0, -1)))


def test_no_job_is_due_while_it_is_staged() -> None:
    due = cron_stand_in.due
    for minute in range(0, DAY, 1):
        for job in crontab.jobs(at(minute)):
            assert not any(due(job.schedule, at(minute + later)) for later in (1, 2, 3)), (at(minute), job)


def test_the_jobs_are_as_frequent_as_in_the_incident() -> None:
    due = cron_stand_in.due
    for minute in (0, 7, 8, 119, 125):
        ten, hourly, nightly = crontab.jobs(at(minute))
        assert sum(due(ten.schedule, at(m)) for m in range(DAY)) == 6 * 24
        assert sum(due(hourly.schedule, at(m)) for m in range(DAY)) == 24
        assert sum(due(nightly.schedule, at(m)) for m in range(DAY)) == 1


def test_as_an_ordinary_user_it_is_a_stand_in_with_a_user_crontab(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    (tmp_path / "log").mkdir()
    cron = crontab.write(str(tmp_path), "/usr/bin/python3", {"PGPORT": "5433"}, JOBS)
    assert not cron.real
    assert cron.why == "only root may run cron"
    assert cron.argv[:2] == ("/usr/bin/python3", "-m")
    read = cron_stand_in.Crontab(cron.file)
    assert read.environment["PGPORT"] == "5433"
    assert read.environment["MAILTO"] == ""
    assert crontab.read_settings(str(tmp_path)) == {"PATH": read.environment["PATH"], "PGPORT": "5433"}
    assert [schedule for schedule, _ in read.jobs].count("@reboot") == sum(job.runs for job in JOBS)
    for job in JOBS:
        commands = [command for schedule, command in read.jobs if f"python3 {job.script} " in command]
        assert len(commands) == job.runs + 1
        assert len(set(commands)) == 1, "a run that was started at once is the same job as the scheduled one"


@needs_root
def test_as_root_the_lines_name_the_user_and_cron_accepts_the_file(tmp_path: Path) -> None:
    if (why := crontab.why_no_cron(str(tmp_path))) is not None:
        pytest.skip(f"no real cron here: {why}")
    cron = crontab.write(str(tmp_path), "/usr/bin/python3", {}, JOBS)
    assert cron.real
    path = Path(cron.file)
    lines = [line for line in path.read_text().splitlines() if "python3" in line]
    assert all(line.removeprefix("@reboot").split()[0 if line.startswith("@") else 5] == "root" for line in lines)
    # cron reads no file of which this is not so (crontab(5), and its load_database()).
    status = path.stat()
    assert status.st_uid == 0
    assert not status.st_mode & 0o022
    assert stat.S_ISREG(status.st_mode)
    assert "." not in path.name


def test_a_directory_with_any_name_will_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    directory = tmp_path / "it's 100% $HOME"
    for path in (directory, directory / "shop", directory / "log", directory / "py thon"):
        path.mkdir()
    (directory / "py thon" / "py").symlink_to("/bin/sh")
    (directory / "shop" / "version_history.py").write_text("echo $0 ran")
    cron = crontab.write(str(directory), str(directory / "py thon" / "py"), {}, JOBS[:1])
    read = cron_stand_in.Crontab(cron.file)
    assert read.run(read.jobs[0][1]).wait() == 0
    assert (directory / "log" / "version_history.log").read_text() == "version_history.py ran\n"


def test_a_missing_directory_is_a_reason_for_a_stand_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr("shutil.which", lambda *_a, **_k: "/usr/sbin/cron")
    monkeypatch.setattr(crontab, "_OVERLAID", (str(tmp_path / "nothing"),))
    assert str(tmp_path / "nothing") in str(crontab.why_no_cron(str(tmp_path)))
    monkeypatch.setattr(crontab, "_OVERLAID", ())
    assert crontab.why_no_cron("/run/user/0/demo") == "the staging lies under /run"
    monkeypatch.setattr("shutil.which", lambda *_a, **_k: None)
    assert crontab.why_no_cron(str(tmp_path)) == "cron is not installed"


def test_once_the_runs_are_there_the_crontab_is_the_incidents(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    cron = crontab.write(str(tmp_path), "/usr/bin/python3", {"PGPORT": "5433"}, JOBS)
    before = cron_stand_in.Crontab(cron.file)
    cron.settle()
    after = cron_stand_in.Crontab(cron.file)
    assert after.jobs == [(schedule, command) for schedule, command in before.jobs if schedule != "@reboot"]
    assert [schedule for schedule, _ in after.jobs] == [job.schedule for job in JOBS]
    assert after.environment == before.environment
    assert os.stat(cron.file).st_mode & 0o022 == 0
    assert os.listdir(os.path.dirname(cron.file)) == ["crontab"]
