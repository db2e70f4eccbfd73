"""The history keeps what became of the runs, and stands in no run's way."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pgusher.guard.history import History, directory, is_alive, open_history
from pgusher.guard.history_entry import Entry, bounded, dumped, loaded
from pgusher.model.values import replace
from tests.bed.requirements import needs_root

NOW = 1_790_000_000_000_000
HOUR = 3_600_000_000


def run(number: int, job: str = "report", **more: object) -> Entry:
    known = {"started": NOW + number * HOUR, "ending": "done", "ended": NOW + number * HOUR + 5, "exit": 0}
    return Entry(run=f"r{number}", job=job, command=f"python {job}.py", **(known | more))  # type: ignore[arg-type]


def history(path: Path, *, alive: bool = True, most: int = 10_000) -> History:
    return History(str(path / "history"), alive=lambda *_: alive, most=most)


def test_what_ends_is_kept_and_what_runs_is_told(tmp_path: Path) -> None:
    kept = history(tmp_path)
    first, second, other = run(1), run(2, ending="limit", exit=124, evidence=("waits in Queue.join",)), run(3, "load")
    for one in (first, second, other):
        assert kept.begin(replace(one, ending="running", ended=None)) == []
    assert [one.run for one in kept.running()] == ["r1", "r2", "r3"]
    for one in (first, second):
        assert kept.end(one, NOW) == []
    assert [(one.run, one.ending) for one in kept.running()] == [("r3", "running")]
    assert kept.entries() == [second, first]
    assert kept.entries("load") == []
    assert kept.counts() == {"report": (2, 1)}
    assert kept.last() == {"report": second}


def test_a_run_whose_guard_was_killed_is_lost(tmp_path: Path) -> None:
    history(tmp_path).begin(run(1, ending="running", ended=None, exit=None))
    kept = history(tmp_path, alive=False)
    assert [one.ending for one in kept.running()] == ["lost"]
    assert [one.ending for one in kept.entries("report")] == ["lost"]
    assert kept.end(run(2), NOW) == []
    assert [(one.run, one.ending) for one in kept.entries()] == [("r2", "done"), ("r1", "lost")]
    assert kept.running() == []


def test_only_so_many_are_kept_and_not_for_ever(tmp_path: Path) -> None:
    kept = history(tmp_path, most=5)
    for number in range(12):
        assert kept.end(run(number), NOW) == []
    assert [one.run for one in kept.entries()] == ["r11", "r10", "r9", "r8", "r7"]
    assert kept.end(run(12), NOW + 500 * 24 * HOUR) == []
    assert kept.entries() == []


def test_a_locked_store_holds_nobody_up_and_loses_nothing(tmp_path: Path) -> None:
    kept = history(tmp_path)
    kept.end(run(1), NOW)
    database = sqlite3.connect(os.path.join(kept.path, "history.db"))
    database.execute("begin exclusive")
    (warning,) = kept.end(run(2), NOW)
    assert warning.startswith("the end of this run waits beside the history for the next: database is locked")
    database.close()
    assert [one.run for one in kept.entries()] == ["r2", "r1"]
    assert kept.end(run(3), NOW) == []
    assert [one.run for one in kept.entries()] == ["r3", "r2", "r1"]
    assert os.listdir(os.path.join(kept.path, "spool")) == []


@pytest.mark.parametrize("torn", [b"no store at all" * 100, b"SQLite format 3\0" + b"\xff" * 5000])
def test_a_broken_store_is_moved_aside(tmp_path: Path, torn: bytes) -> None:
    kept = history(tmp_path)
    kept.end(run(1), NOW)
    Path(kept.path, "history.db").write_bytes(torn)
    (warning,) = kept.end(run(2), NOW)
    assert "begun anew" in warning
    assert Path(kept.path, "history.db.broken").read_bytes() == torn
    assert kept.end(run(3), NOW) == []
    assert [one.run for one in kept.entries()] == ["r3", "r2"]


def test_what_stands_in_its_place_is_a_warning(tmp_path: Path) -> None:
    (tmp_path / "history").write_text("a file")
    kept = history(tmp_path)
    assert ["history" in warning for warning in (*kept.begin(run(1)), *kept.end(run(1), NOW))] == [True, True]
    assert kept.entries() == kept.running() == []
    (tmp_path / "open" / "history").mkdir(parents=True)
    (tmp_path / "open" / "history").chmod(0o777)
    assert len(history(tmp_path / "open").begin(run(1))) == 1
    elsewhere = tmp_path / "link"
    elsewhere.mkdir()
    (elsewhere / "history").symlink_to(tmp_path)
    assert len(history(elsewhere).begin(run(1))) == 1


@pytest.mark.parametrize("name", ["../x", "", ".x", "a/b"])
def test_no_id_leads_out_of_the_directory(tmp_path: Path, name: str) -> None:
    kept = history(tmp_path)
    assert len(kept.begin(replace(run(1), run=name))) == 1
    assert sorted(os.listdir(kept.path)) in ([], ["running"])


_FULL = """
import sys
from pgusher.guard.history import History
from pgusher.guard.history_entry import Entry
kept = History(sys.argv[1])
print(len(kept.begin(Entry("a", "job", "x", 1))), len(kept.end(Entry("a", "job", "x", 1, "done"), 1)))
"""


@needs_root
def test_a_full_disk_is_a_warning(tmp_path: Path) -> None:
    place = tmp_path / "small"
    place.mkdir()
    mount = f"mount -t tmpfs -o size=4k none {place} && mkdir -m 700 {place}/history"
    fill = f"{{ head -c 4096 /dev/zero > {place}/fill || :; }}"
    script = f"{mount} && {fill} && exec {sys.executable} -c '{_FULL}' {place}/history"
    done = subprocess.run(
        ["/usr/bin/unshare", "-m", "/bin/sh", "-c", script],
        env={**os.environ, "PYTHONPATH": "src"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout.split() == ["1", "1"] or done.stdout.split() == ["1", "2"], done.stderr


_E2E = """
mount -t tmpfs -o size=64k none $0 && mkdir -m 700 $0/history
head -c 200000 /dev/zero > $0/fill
for end in 3 0; do "$@" -m pgusher run --name full -- sh -c "echo out; exit $end"; echo $?; done
rm $0/fill
"$@" -m pgusher run --name full -- true
"$@" -m pgusher jobs show full
"""


@needs_root
def test_a_job_runs_on_a_full_disk_as_it_always_does(tmp_path: Path) -> None:
    """Its lock, its output and its history are on that disk."""
    done = subprocess.run(
        ["/usr/bin/unshare", "-m", "/bin/sh", "-c", _E2E, str(tmp_path), sys.executable],
        env={**os.environ, "PYTHONPATH": "src", "PGUSHER_STATE": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout.splitlines()[:4] == ["out", "3", "out", "0"], done.stderr
    assert done.stderr.count("the end of this run is not in the history: no space left on device") == 2
    assert done.stdout.count("\tdone\t0\t") == 1, "with room again it is kept"


def test_a_job_ends_as_it_does_while_the_history_is_locked(tmp_path: Path) -> None:
    environ = {**os.environ, "PYTHONPATH": "src", "PGUSHER_STATE": str(tmp_path)}
    run = [sys.executable, "-m", "pgusher", "run", "--name", "locked", "--"]
    assert subprocess.run([*run, "true"], env=environ, check=False).returncode == 0
    database = sqlite3.connect(tmp_path / "history" / "history.db")
    database.execute("begin exclusive")
    done = subprocess.run([*run, "sh", "-c", "exit 3"], env=environ, capture_output=True, text=True, check=False)
    database.close()
    assert done.returncode == 3
    assert done.stderr.count("\n") == 1
    assert "waits beside the history" in done.stderr
    assert [one.exit for one in History(str(tmp_path / "history")).entries("locked")] == [3, 0]


def test_where_it_is() -> None:
    assert directory({"PGUSHER_STATE": "/s"}) == "/s/history"
    assert directory({}, uid=0) == "/var/lib/pgusher/history"
    assert directory({"HOME": "/h"}, uid=5) == "/h/.local/state/pgusher/history"
    assert directory({"HOME": "/h", "XDG_STATE_HOME": "/x"}, uid=5) == "/x/pgusher/history"
    assert directory({"HOME": "/h", "XDG_STATE_HOME": "x"}, uid=5) == "/h/.local/state/pgusher/history"


def test_a_home_that_cannot_be_written_is_no_reason_to_forget(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "home").write_text("")
    monkeypatch.setenv("PGUSHER_STATE", str(tmp_path / "home"))
    monkeypatch.setattr("pgusher.guard.history._shared", lambda: str(tmp_path / "shared"))
    assert History().end(run(1), NOW) == []
    assert [one.run for one in open_history().entries()] == ["r1"]


def test_this_very_process_is_alive() -> None:
    boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    ticks = int(Path("/proc/self/stat").read_text().rpartition(")")[2].split()[19])
    assert is_alive(os.getpid(), ticks, boot)
    assert not is_alive(os.getpid(), ticks + 1, boot)
    assert not is_alive(os.getpid(), ticks, "another")
    assert not is_alive(0, ticks, boot)


def test_an_entry_comes_back_as_it_was() -> None:
    one = run(1, evidence=("a", "\udce9"), peak_memory=7, limit=3, uid=0)
    assert loaded(dumped(one)) == one
    assert loaded(dumped(one)[:-1]) is None
    assert loaded(dumped(one).replace('"exit":0', '"exit":"0"')) is None
    assert loaded(dumped(one).replace('"exit":0', '"novel":0')) == replace(one, exit=None)
    assert len(bounded(replace(one, evidence=("x" * 5000,) * 500)).evidence) == 40


@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.one_of(st.binary(), st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.text(max_size=3)),
    lambda inner: st.dictionaries(st.sampled_from(Entry.__slots__), inner) | st.lists(inner, max_size=3),
).map(lambda one: __import__("json").dumps(one))))  # fmt: skip
def test_nothing_in_a_file_raises(text: str | bytes) -> None:
    loaded(text)


def test_ten_thousand_are_read_by_an_index(tmp_path: Path) -> None:
    kept = history(tmp_path)
    kept.end(run(0), NOW)
    database = sqlite3.connect(os.path.join(kept.path, "history.db"))
    with database:
        database.executemany(
            "insert into run (run, job, started, ending, entry) values (?, ?, ?, ?, ?)",
            [
                (one.run, one.job, one.started, one.ending, dumped(one))
                for one in (run(n, f"j{n % 50}") for n in range(1, 10_000))
            ],
        )
        plan = database.execute("explain query plan select entry from run where job = 'j3' order by id desc limit 9")
        assert "USING INDEX run_of_job" in str(plan.fetchall())
    database.close()
    assert kept.end(run(10_001, "j3"), NOW) == []
    assert kept.counts()["j3"] == (201, 0)
    assert len(kept.last()) == 50
    assert kept.entries("j3", 2)[0].run == "r10001"
