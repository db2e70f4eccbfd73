"""What is on record of a run finds what is left of it, and nobody else."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pgusher.guard import trail
from pgusher.guard.kernel import Stat, boot_id, read_stat
from pgusher.guard.trail import Trail, remains


@pytest.fixture
def proc(tmp_path: Path) -> Path:
    def process(pid: int, ppid: int, session: int, ticks: int, state: str = "S") -> None:
        (tmp_path / str(pid)).mkdir()
        text = f"{pid} (a) b) {state} {ppid} {session} {session} 0 -1 0 0 0 0 0 1 2 3 4 20 0 1 0 {ticks} 0 7 0\n"
        (tmp_path / str(pid) / "stat").write_text(text)

    process(1, 0, 1, 0)
    process(500, 1, 500, 100)  # recorded
    process(501, 1, 500, 900)  # of its session, made after the stamp
    process(502, 1, 600, 150)  # of a session whose leader is gone, there before the stamp
    process(503, 1, 600, 950)  # of that session, later
    process(504, 503, 504, 960)  # a session of its own, its parent is ours
    process(505, 1, 700, 990)  # a session that took the number of one of the run's
    process(506, 1, 506, 120)  # a pid that was recorded, of another process
    process(507, 1, 500, 130, "Z")
    return tmp_path


def test_what_is_the_runs_for_certain_is_found_and_nothing_else(proc: Path) -> None:
    record = Trail("r", "b", 800, "", [[500, 100], [506, 119], [508, 1]], [500, 600, 700])
    assert sorted(stat.pid for stat in remains(record, str(proc))) == [500, 501, 502, 503, 504]
    assert remains(record._replace(processes=[], sessions=[]), str(proc)) == []


def test_it_is_read_as_it_was_written_and_never_of_another_boot(tmp_path: Path) -> None:
    path = str(tmp_path / "x.trail")
    own = read_stat(os.getpid())
    assert own is not None
    trail.write(path, "r", "/c", 7, [own, Stat(3, 1, "S", 0, 9, 0, 3, 44)])
    found = trail.read(path)
    assert found is not None
    assert (found.run, found.cgroup, found.stamp) == ("r", "/c", 7)
    assert found.processes == [[own.pid, own.ticks], [3, 9]]
    assert found.sessions == [44], "our own session is not the job's"
    Path(path).write_text(json.dumps(found._replace(boot="another")))
    assert trail.read(path) is None


@given(st.binary(max_size=200), st.sampled_from([[], ["r"], ["r", None, 1, "", [[1]], []], [1] * 6, {"run": 1}]))
def test_a_torn_record_is_none(tmp_path_factory: pytest.TempPathFactory, raw: bytes, other: object) -> None:
    path = tmp_path_factory.getbasetemp() / "torn.trail"
    for text in (raw, json.dumps(other).replace("null", json.dumps(boot_id())).encode()):
        path.write_bytes(text)
        assert trail.read(str(path)) is None


def test_the_clock_is_that_of_the_processes() -> None:
    pid = os.posix_spawn("/bin/true", ["true"], {})
    stat = read_stat(pid)
    os.waitpid(pid, 0)
    assert stat is not None
    assert abs(trail.now() - stat.ticks) < 60 * os.sysconf("SC_CLK_TCK")
