"""Slots that a run takes of a budget before it starts: by `pgusher run --slots`, and by `pgusher.job(slots=...)`."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from pgusher.client.budget import Budget, BudgetError
from pgusher.guard.history import History
from pgusher.guard.job import NotStarted, job
from tests.bed.holder import ROOT
from tests.guard.shapes import Bench

HOLDS = """
import sys
from pgusher.client.budget import Budget
lease = Budget(sys.argv[1], 6).lease(int(sys.argv[2]))
assert lease.take(0.0) is not None
print(1, flush=True)
sys.stdin.read()
"""


@contextmanager
def holding(name: str, count: int) -> Iterator[subprocess.Popen[bytes]]:
    """A process that has so many of the six slots of that budget."""
    environ = {**os.environ, "PYTHONPATH": f"{ROOT}/src"}
    words = [sys.executable, "-c", HOLDS, name, str(count)]
    process = subprocess.Popen(words, env=environ, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == b"1\n"
        yield process
    finally:
        process.kill()
        process.communicate()


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    bench = Bench(tmp_path_factory.mktemp("state"))
    yield bench
    bench.close()


@pytest.fixture
def name() -> Iterator[str]:
    """A budget that no other test has. Its file is where all of this user's are: it goes with the test."""
    from pgusher.client.directory import find_directory

    made = f"test-{os.getpid()}-{os.urandom(4).hex()}"
    yield made
    Path(find_directory().path, f"{made}.budget").unlink(missing_ok=True)


def test_all_or_none_and_who_has_them(name: str) -> None:
    clock = [time.monotonic()]

    def sleep(seconds: float) -> None:
        clock[0] += seconds

    lease = Budget(name, 6).lease(4)
    lease._monotonic, lease._sleep = lambda: clock[0], sleep
    with holding(name, 3) as other:
        assert lease.take(1.0) is None
        assert Budget(name, 6).held == 0, "not three of the four"
        assert [(one.pid, one.held) for one in lease.holders()] == [(other.pid, 3)]
        told: list[float] = []
        assert lease.take(5.0, lambda: told.append(clock[0])) is None
        assert len(told) == 1
    assert lease.take(1.0) is not None
    assert Budget(name, 6).held == 4
    lease.close()
    assert Budget(name, 6).held == 0
    with pytest.raises(BudgetError, match="7 slots are not between 1 and its total of 6"):
        Budget(name, 6).lease(7)


def test_a_run_waits_for_its_slots_or_is_not_started_and_says_who_has_them(bench: Bench, name: str) -> None:
    words = ["--slots", "4", "--budget", f"{name}=6"]
    with holding(name, 3) as other:
        waits = bench.start(
            "waits", ["sh", "-c", "echo $PGUSHER_SLOTS; read line"], *words, "--overlap", "wait", stdin=subprocess.PIPE
        )
        code, out, err = bench.run("report", ["echo", "ran"], *words)
        assert (code, out) == (75, "")
        assert f"job report was not started: 4 slots of budget {name} are not free" in err
        assert "3 of 6 slots are taken" in err
        assert f"pid {other.pid} has 3: {sys.executable}" in err
        last = History(f"{bench.state}/history").last()["report"]
        assert (last.ending, last.exit) == ("skipped", 75)
        assert waits.stderr is not None
        assert f"job waits waits for 4 slots of budget {name}".encode() in waits.stderr.readline()
    # Whoever was killed has them no more.
    assert waits.stdout is not None
    assert waits.stdout.readline() == f"{name}=4\n".encode()
    assert [(one.pid, one.held) for one in Budget(name, 6).lease(1).holders()] == [(waits.pid, 4)]
    _, err_of_first = waits.communicate(b"\n", timeout=60)
    assert (waits.returncode, b"s for 4 slots" in err_of_first) == (0, True)
    assert bench.run("all", ["echo", "ran"], "--slots", "6", "--budget", f"{name}=6")[:2] == (0, "ran\n")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--slots", "4"], "--slots needs --budget NAME"),
        (["--budget", "web"], "--budget needs --slots"),
        (["--slots", "7", "--budget", "web=6"], "budget web has 6 slots on this host: it never has 7"),
        (["--slots", "7", "--budget", "web"], "budget 'web' has no total"),
        (["--slots", "0", "--budget", "web"], "1 to 10000"),
        (["--slots", "1", "--budget", "w/eb"], "a name as web"),
    ],
)
def test_what_cannot_be_is_said_before_anything_runs(bench: Bench, options: list[str], said: str) -> None:
    code, out, err = bench.run("wrong", ["echo", "ran"], *options)
    assert (code, out) == (2, "")
    assert said in err


def test_a_program_takes_them_itself(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PGUSHER_STATE", str(tmp_path))
    monkeypatch.setattr("pgusher.guard.slots.PATIENCE", 0.05)
    budget = Budget(name, 6)
    with holding(name, 3) as other:
        with job("load", slots=3, budget=budget):
            assert budget.held == 3
        assert budget.held == 0
        with pytest.raises(NotStarted) as skipped, job("load", overlap="skip", slots=4, budget=budget):
            pass
        assert skipped.value.code == 75
        assert f"pid {other.pid} has 3" in capfd.readouterr().err
        monkeypatch.setenv("PGUSHER_SLOTS", f"{name}=4")
        with job("load", slots=4, budget=budget):
            assert budget.held == 0, "its guard has them"
    assert [one.ending for one in History(str(tmp_path / "history")).entries("load")] == ["done", "skipped", "done"]


def test_slots_and_budget_go_together_and_need_a_name(name: str) -> None:
    for wrong in ({"slots": 4}, {"budget": name}):
        with pytest.raises(ValueError, match="go together"):
            job("load", **wrong)
    with pytest.raises(ValueError, match="needs the job's name"):
        job(None, slots=1, budget=name)
