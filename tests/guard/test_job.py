"""`pgusher.job`: one run of a job at a time, and what became of each."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from pgusher.client.directory import DirectoryError
from pgusher.guard.history import History
from pgusher.guard.history_entry import Entry
from pgusher.guard.job import NotStarted, job
from tests.bed.holder import ROOT

BEGIN = "import os, sys, threading, time\nimport pgusher\n"


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PGUSHER_STATE", str(tmp_path))
    return tmp_path


def entries(state: Path) -> list[Entry]:
    return History(str(state / "history")).entries()


def run(script: str, state: Path) -> subprocess.CompletedProcess[str]:
    environ = {**os.environ, "PYTHONPATH": f"{ROOT}/src", "PGUSHER_STATE": str(state)}
    return subprocess.run(
        [sys.executable, "-c", BEGIN + script], env=environ, capture_output=True, text=True, check=False, timeout=60
    )


def test_what_became_of_it_is_kept(state: Path) -> None:
    @job("load")
    def load() -> int:
        return 7

    assert load() == 7
    with pytest.raises(ValueError, match="bad row"), job("load"):
        raise ValueError("bad row, password=hunter2")
    with pytest.raises(SystemExit), job("load"):
        sys.exit(3)
    last, failed, done = entries(state)
    assert (done.ending, done.exit, done.evidence) == ("done", 0, ())
    assert (failed.ending, failed.exit, failed.evidence[0].startswith("ValueError: bad row")) == ("failed", 1, True)
    assert "hunter2" not in repr(failed)
    assert (last.ending, last.exit) == ("failed", 3)
    assert done.duration is not None
    assert done.peak_memory is not None
    assert done.peak_memory > 1 << 20
    assert os.listdir(state / "history" / "running") == []


def test_a_coroutine_function_is_a_run_until_it_has_ended(state: Path) -> None:
    @job("nightly", overlap="skip")
    async def outer() -> int:
        await asyncio.sleep(0.3)
        with pytest.raises(NotStarted):
            await outer()  # the name is still taken
        return 7

    assert asyncio.run(outer()) == 7
    assert {one.ending: (one.duration or 0) > 250_000 for one in entries(state)} == {"done": True, "skipped": False}


def test_the_limit_of_a_coroutine_function_ends_it(state: Path) -> None:
    script = (
        "import asyncio\n@pgusher.job('late', timeout=0.5, grace=0.1)\nasync def main():\n    await asyncio.sleep(60)\n"
        "asyncio.run(main())\n"
    )
    assert run(script, state).returncode == 124


def test_a_generator_function_is_refused() -> None:
    def numbers() -> Iterator[int]:
        yield 1

    with pytest.raises(TypeError, match="with block"):
        job("nightly")(numbers)


def test_one_without_a_name_leaves_nothing(state: Path) -> None:
    with job():
        pass
    assert not (state / "history").exists()


STUCK = """
with pgusher.job('load', grace=0.1):
    threading.Thread(target=int, args='x', name='loader').start()
    threading.Event().wait()
"""
DIED = """
with pgusher.job('load'):
    thread = threading.Thread(target=int, args='x', name='loader')
    thread.start()
    thread.join()
"""
SLOW = "with pgusher.job('load', timeout=0.1): threading.Event().wait()"


@pytest.mark.parametrize(
    ("script", "code", "ending", "said"),
    [
        (STUCK, 1, "thread", "thread loader died of ValueError"),
        (DIED, 1, "thread", "a thread of the job raised"),
        (SLOW, 124, "limit", "longer than its limit"),
    ],
)
def test_a_run_that_is_ended_is_kept_too(state: Path, script: str, code: int, ending: str, said: str) -> None:
    done = run(script, state)
    assert done.returncode == code, done.stderr
    (entry,) = entries(state)
    assert (entry.ending, entry.exit) == (ending, code)
    assert said in entry.evidence[0]


def test_a_second_run_is_skipped_and_says_who_is_there(state: Path, capfd: pytest.CaptureFixture[str]) -> None:
    with job("load", overlap="skip"):
        with pytest.raises(NotStarted) as skipped, job("load", overlap="skip"):
            pass
        with job("other", overlap="skip"):
            pass
    assert skipped.value.code == 75
    assert f"job load was not started: pid {os.getpid()} runs since 20" in str(skipped.value)
    assert str(skipped.value) in capfd.readouterr().err
    assert [(entry.job, entry.ending) for entry in sorted(entries(state), key=lambda one: one.run)] == [
        ("load", "done"), ("load", "skipped"), ("other", "done"),
    ]  # fmt: skip
    with job("load", overlap="skip"):
        pass


HOLDS = "with pgusher.job('load', overlap='skip'): print(os.getpid(), flush=True); sys.stdin.read()"


@contextmanager
def holding(state: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A process in the middle of a run of the job."""
    environ = {**os.environ, "PYTHONPATH": f"{ROOT}/src", "PGUSHER_STATE": str(state)}
    command = [sys.executable, "-c", BEGIN + HOLDS]
    other = subprocess.Popen(command, env=environ, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        assert other.stdout is not None
        assert int(other.stdout.readline()) == other.pid
        yield other
    finally:
        other.kill()
        other.communicate()


def test_the_run_of_another_process_is_named_and_waited_for(state: Path) -> None:
    with holding(state) as other:
        with pytest.raises(NotStarted, match=f"pid {other.pid} runs since 20"), job("load", overlap="skip"):
            pass
        timer = threading.Timer(0.1, other.kill)
        timer.start()
        # A run that is killed leaves no lock behind.
        with job("load", overlap="wait"):
            assert other.wait(10) == -9
        timer.join()
    assert [(entry.ending, entry.exit) for entry in entries(state)] == [("done", 0), ("skipped", 75), ("lost", None)]


def test_the_run_of_another_process_is_replaced(state: Path, capfd: pytest.CaptureFixture[str]) -> None:
    with holding(state) as other:
        with job("load", overlap="replace"):
            assert other.wait(10) == -15
            with pytest.raises(NotStarted), job("load", overlap="replace"):
                pass
        assert f"job load: the run of pid {other.pid} is ended to make room" in capfd.readouterr().err
    assert [(entry.ending, entry.exit) for entry in entries(state)] == [("skipped", 75), ("done", 0), ("lost", None)]


def test_pgusher_run_has_the_same_lock(state: Path) -> None:
    with holding(state):
        skipped = under_guard(state, "pass")
        assert skipped.returncode == 75, skipped.stderr
        assert [(entry.ending, entry.exit) for entry in entries(state)] == [("skipped", 75)]
    done = under_guard(state, HOLDS.replace("sys.stdin.read()", "sys.exit(3)"))
    assert done.returncode == 3, done.stderr
    # It is one run, written down by the guard.
    assert [entry.ending for entry in entries(state)] == ["failed", "skipped", "lost"]
    assert len([entry for entry in entries(state) if entry.exit == 3]) == 1


def under_guard(state: Path, script: str) -> subprocess.CompletedProcess[str]:
    environ = {**os.environ, "PYTHONPATH": f"{ROOT}/src", "PGUSHER_STATE": str(state)}
    command = [sys.executable, "-m", "pgusher", "run", "--name", "load", "--", sys.executable, "-c", BEGIN + script]
    return subprocess.run(command, env=environ, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)


def test_no_child_keeps_the_lock(state: Path) -> None:
    read, write = os.pipe()
    with job("load", overlap="skip"):
        child = os.fork()
        if not child:  # it lives on, as a daemon would
            os.close(write)
            os.read(read, 1)
            os._exit(0)
    with job("load", overlap="skip"):
        pass
    os.close(write)
    os.waitpid(child, 0)
    os.close(read)


def test_a_place_that_cannot_be_used_is_one_message(state: Path) -> None:
    (state / f"runs-{os.geteuid()}").write_text("")
    with pytest.raises(DirectoryError, match="cannot lock the job"), job("load", overlap="skip"):
        pass
    with job("load"):
        pass


@pytest.mark.parametrize("overlap", ["skip", "wait"])
def test_an_overlap_needs_a_name(overlap: str) -> None:
    with pytest.raises(ValueError, match="needs the job's name"):
        job(None, overlap=overlap)  # type: ignore[call-overload]
    with pytest.raises(ValueError, match="overlap is"):
        job("load", overlap="x")  # type: ignore[call-overload]


def test_a_history_that_cannot_be_kept_is_a_warning(state: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (state / "history").write_text("")
    (state / "shared").write_text("")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("pgusher.guard.history._shared", lambda: str(state / "shared"))
        with job("load"):
            pass
    assert capfd.readouterr().err.count("is not in the history") == 2
