"""`pgusher jobs`: what the history holds, for people, pipes and programs."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from pgusher.guard.history import History
from pgusher.guard.history_entry import Entry
from pgusher.surfaces.render.schema import json_schema
from tests.bed.holder import ROOT
from tests.surfaces.fakes import FakeApp, Shell

VALIDATOR = Draft202012Validator(json_schema())
HOUR = 3_600_000_000
NOW = 1_790_000_000_000_000
STUCK = (
    "thread loader of pid 71 died of ValueError: bad row at /srv/load.py:12",
    "thread MainThread waits in Queue.join at /srv/load.py:30",
)


@pytest.fixture
def history(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> History:
    monkeypatch.setenv("PGUSHER_STATE", str(tmp_path))
    monkeypatch.setattr("pgusher.surfaces.cli.jobs._now", lambda: NOW)
    # Where jobs without a home are kept: others of this host may have left some there.
    monkeypatch.setattr("pgusher.guard.history._shared", lambda: str(tmp_path / "shared"))
    return History(str(tmp_path / "history"))


def me() -> tuple[int, int, str]:
    ticks = int(Path("/proc/self/stat").read_text().rpartition(")")[2].split()[19])
    return os.getpid(), ticks, Path("/proc/sys/kernel/random/boot_id").read_text().strip()


def filled(history: History, output: str = "") -> None:
    done = {"ending": "done", "exit": 0, "duration": 9_500_000, "peak_slots": 3, "peak_memory": 40 << 20}
    history.end(Entry("a1", "report", "python report.py", NOW - 5 * HOUR, ended=NOW - 4 * HOUR, **done), NOW)  # type: ignore[arg-type]
    history.end(
        Entry("a2", "report", "python report.py", NOW - 3 * HOUR, "thread", NOW - 2 * HOUR, HOUR, 1, evidence=STUCK),
        NOW,
    )
    history.end(Entry("b1", "load", "python load.py", NOW - HOUR, **done), NOW)  # type: ignore[arg-type]
    pid, ticks, boot = me()
    history.begin(
        Entry(
            "b2",
            "load",
            "python load.py",
            NOW - 180_000_000,
            guard_pid=pid,
            guard_ticks=ticks,
            boot=boot,
            output=output,
        )
    )


def test_jobs_their_last_runs_and_what_runs_now(history: History) -> None:
    filled(history)
    ran = Shell(FakeApp()).run("jobs", "--color", "never", "--width", "100")
    assert ran.code == 1
    assert ran.out.splitlines() == [
        "JOB     NOW         LAST START  ENDING       TOOK  SLOTS  MEMORY  RUNS  BAD",
        "load    runs 3 min  1 h ago     done        9.5 s      3  40 MiB     1    0",
        "report              3 h ago     thread  1 h 0 min                    2    1",
        "",
        "pgusher jobs show JOB  its runs, and why they ended as they did",
    ]
    ran = Shell(FakeApp()).run("jobs")
    assert ran.code == 1
    assert ran.out.splitlines()[1].split("\t")[:4] == [
        "load", "2026-09-21T14:10:20.000000Z", "2026-09-21T13:13:20.000000Z", "done",
    ]  # fmt: skip


def test_one_job(history: History) -> None:
    filled(history)
    ran = Shell(FakeApp()).run("jobs", "show", "report", "--width", "100")
    assert ran.code == 1
    assert "run a2: thread" in ran.out
    for line in STUCK:
        assert line in " ".join(ran.out.split())
    ran = Shell(FakeApp()).run("jobs", "show", "load", "--width", "100")
    assert ran.code == 0
    assert "pgusher jobs tail load" not in ran.out


def test_the_output_of_what_runs(history: History, tmp_path: Path) -> None:
    (tmp_path / "ring").write_bytes(b"row 1\nrow \x1b[2J2\n")
    filled(history, str(tmp_path / "ring"))
    ran = Shell(FakeApp()).run("jobs", "tail", "load")
    assert ran.code == 0
    assert ran.out == "row 1\nrow \\x1b[2J2\n"
    assert "pgusher jobs tail load" in Shell(FakeApp()).run("jobs", "show", "load", "--width", "100").out
    ran = Shell(FakeApp()).run("jobs", "tail", "report")
    assert ran.code == 2
    assert "does not run now" in ran.err


@pytest.mark.parametrize("words", [[], ["show", "report"], ["show", "load"], ["tail", "load"]])
def test_json_is_as_its_schema_says(history: History, tmp_path: Path, words: list[str]) -> None:
    (tmp_path / "ring").write_bytes(b"x\n")
    filled(history, str(tmp_path / "ring"))
    ran = Shell(FakeApp()).run("jobs", *words, "--json")
    VALIDATOR.validate(json.loads(ran.out))


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["show"], "takes the name of one job"),
        (["show", "raport"], "did you mean report?"),
        (["tail", "nothing"], "no run of a job"),
        (["shw", "report"], "did you mean show?"),
        (["list", "x"], "nothing that pgusher jobs does"),
    ],
)
def test_what_is_typed_wrongly(history: History, words: list[str], said: str) -> None:
    filled(history)
    ran = Shell(FakeApp()).run("jobs", *words)
    assert ran.code == 2
    assert said in ran.err


def test_before_the_first_run(history: History) -> None:
    ran = Shell(FakeApp()).run("jobs", "--width", "80")
    assert ran.code == 0
    assert ran.out == "no run of a job is on record yet\n"
    ran = Shell(FakeApp()).run("jobs", "--json")
    assert ran.code == 0
    assert json.loads(ran.out)["jobs"] == []


def test_a_broken_store_is_one_message(history: History) -> None:
    filled(history)
    Path(history.path, "history.db").write_bytes(b"x" * 4096)
    ran = Shell(FakeApp()).run("jobs")
    assert ran.code == 3
    assert "could not read the history of jobs" in ran.err


def test_an_output_that_is_not_kept(history: History) -> None:
    filled(history)
    ran = Shell(FakeApp()).run("jobs", "tail", "load")
    assert ran.code == 3
    assert "is not kept" in ran.err


def test_a_real_run_can_be_read_while_it_runs(history: History, tmp_path: Path) -> None:
    environ = {**os.environ, "PYTHONPATH": f"{ROOT}/src", "PGUSHER_STATE": str(tmp_path)}
    command = [sys.executable, "-m", "pgusher", "run", "--name", "load", "--", "sh", "-c", "echo row 1; cat"]
    with subprocess.Popen(command, env=environ, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as guard:
        deadline = time.monotonic() + 30
        while not any(tmp_path.glob("runs-*/load.out")):
            assert time.monotonic() < deadline
            time.sleep(0.05)
        ran = Shell(FakeApp()).run("jobs", "tail", "load")
        assert (ran.code, ran.out) == (0, "row 1\n")
        assert "running" in Shell(FakeApp()).run("jobs", "show", "load").out
        assert guard.communicate(b"row 2\n")[0] == b"row 1\nrow 2\n"
    assert guard.returncode == 0
    assert [entry.ending for entry in history.entries("load")] == ["done"]
