"""A cgroup of its own, on the real kernel where one may be made; and why there is none, elsewhere."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from pgusher.guard import cgroup
from pgusher.guard.cgroup import Cgroup
from pgusher.guard.kernel import read_stat
from tests.guard.shapes import Bench, until


@pytest.fixture
def own() -> Iterator[Cgroup]:
    try:
        made = cgroup.make(f"pgusher.test.{os.getpid()}")
    except OSError as error:
        pytest.skip(f"no cgroup can be made here: {error}")
    yield made
    made.kill()
    made.remove()
    assert not os.path.exists(made.path)


def test_all_that_is_in_it_is_stopped_and_ended_by_one_write(own: Cgroup) -> None:
    text = "env -i setsid sh -c 'trap \"\" TERM; while :; do :; done' & exec sleep 300"
    job = subprocess.Popen(["sh", "-c", text], preexec_fn=own.enter)  # noqa: PLW1509 - no other thread is here
    until(lambda: len(cgroup.members(own.path)) == 2)
    two = cgroup.members(own.path)
    assert own.freeze(True)
    before = [read_stat(pid) for pid in two]
    assert [read_stat(pid) for pid in two] == before, "not a tick of processor time"
    assert own.kill(), "also what is frozen"
    assert job.wait(10) == -signal.SIGKILL
    until(lambda: not cgroup.members(own.path))


def test_where_there_is_none_it_is_said_why(tmp_path: Path) -> None:
    (tmp_path / "self").mkdir()
    (tmp_path / "self/cgroup").write_text("4:memory:/a\n0::/a\n")
    (tmp_path / "self/mountinfo").write_text("30 29 0:26 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n")
    with pytest.raises(OSError, match="no cgroups of version 2 are mounted"):
        cgroup.make("x", str(tmp_path))
    # A directory that is no cgroup, as a bind mount in a container may be.
    (tmp_path / "a").mkdir()
    (tmp_path / "self/mountinfo").write_text(f"30 29 0:26 / {tmp_path} rw shared:4 - cgroup2 cgroup2 rw\n")
    with pytest.raises(FileNotFoundError):
        cgroup.make("x", str(tmp_path))
    assert os.listdir(tmp_path / "a") == []
    (tmp_path / "self/mountinfo").write_text(f"30 29 0:26 /b {tmp_path} rw - cgroup2 cgroup2 rw\n")
    with pytest.raises(OSError, match="not below"):
        cgroup.make("x", str(tmp_path))


def test_empty_ones_of_killed_guards_go_and_those_of_others_stay(own: Cgroup) -> None:
    above = os.path.dirname(own.path)
    gone = subprocess.Popen(["true"])
    gone.wait()
    old, living = f"{above}/pgusher.t.1-{gone.pid}", f"{above}/pgusher.t.1-{os.getpid()}"
    os.mkdir(old)
    os.mkdir(living)
    try:
        another = cgroup.make(f"pgusher.t.2-{os.getpid()}")
        another.remove()
        assert not os.path.exists(old)
        assert os.path.exists(living)
    finally:
        os.rmdir(living)


def test_a_run_has_one_and_takes_it_away(own: Cgroup, tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    try:
        guard = bench.start("mine", ["sleep", "300"])
        until(lambda: bench.of("mine"))
        above = os.path.dirname(own.path)
        place = next(name for name in os.listdir(above) if name.startswith("pgusher.mine."))
        assert cgroup.members(f"{above}/{place}") == bench.of("mine")
        guard.terminate()
        assert guard.wait(20) == 143
        assert not os.path.exists(f"{above}/{place}")
    finally:
        bench.close()


WITHOUT = """
import sys
from pgusher.guard import cgroup
from pgusher.guard.records import Job
from pgusher.guard.run import run
def none(*_): raise OSError(30, "read-only")
if sys.argv[2] == "none":
    cgroup.make = none
run(Job(sys.argv[1], ("sh", "-c", sys.argv[3])))
"""


@pytest.mark.parametrize("cgroups", ["own", "none"])
def test_what_has_cleared_its_environment_is_found(
    tmp_path: Path, cgroups: str, request: pytest.FixtureRequest
) -> None:
    """A daemon that keeps nothing of where it comes from: found by the cgroup, or once the guard has seen it."""
    if cgroups == "own":
        request.getfixturevalue("own")  # where none can be made, that is told
    bench = Bench(tmp_path)
    try:
        ready = tmp_path / "ready"
        text = (
            f"(env -i setsid sh -c 'echo $$ >{ready}; trap \"\" TERM; while :; do sleep 300; done' &) ; exec sleep 300"
        )
        guard = subprocess.Popen([sys.executable, "-c", WITHOUT, "bare", cgroups, text], env=bench.environ)
        bench.guards.append(guard)
        until(lambda: ready.exists() and ready.read_text().strip())
        pid = int(ready.read_text())
        kept = bench.lock("bare").replace(".lock", ".trail")
        if cgroups == "none":
            until(lambda: str(pid) in Path(kept).read_text())
        guard.kill()
        guard.wait()
        until(lambda: not bench.of("bare"))
        code, _, err = bench.run("bare", ["true"])
        assert code == 75
        assert f"pid {pid} of run" in err
        assert bench.run("bare", ["true"], "--overlap", "replace", "--grace", "1s")[0] == 0
        stat = read_stat(pid)
        assert stat is None or stat.state == "Z", "it is gone"
        assert not os.path.exists(kept)
    finally:
        bench.close()
