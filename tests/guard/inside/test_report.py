"""The report is written by the job's own processes: whatever stands in it, it can be read."""

from __future__ import annotations

import json
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pgusher.guard.inside.report import Report, read

DEATH = {"kind": "death", "pid": 7, "at": 1.5, "thread": "loader", "error": "OperationalError", "line": 12,
         "text": "connection to postgresql://app:hunter2@db/x failed", "file": "/srv/load.py", "grace": 5.0,
         "traceback": "Traceback\npassword=hunter2\n"}  # fmt: skip
STUCK = {"kind": "stuck", "pid": 7, "threads": [
    {"thread": "MainThread", "main": True, "daemon": False, "waits": "Queue.join", "file": "/srv/load.py", "line": 30},
    {"thread": "helper", "main": False, "daemon": True, "waits": "", "file": "/srv/load.py", "line": 4},
]}  # fmt: skip


def test_what_is_told_of_it(tmp_path: Path) -> None:
    path = tmp_path / "report"
    path.write_text("\n".join(json.dumps(one) for one in ({"kind": "seen"}, DEATH, STUCK)))
    report = read(str(path))
    assert (report.watched, report.failed) == (1, True)
    assert "hunter2" not in repr(report)
    first, second = report.lines()
    assert first.startswith("thread loader of pid 7 died of OperationalError: connection to postgresql://app:")
    assert first.endswith(" at /srv/load.py:12")
    assert second == "thread MainThread waits in Queue.join at /srv/load.py:30"


def test_what_is_torn_or_strange_is_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "report"
    lines = ["{", "[]", "7", '{"kind": "death"}', '{"kind": "stuck", "pid": 1, "threads": [7]}', json.dumps(DEATH)[:50]]
    path.write_text("\n".join([*lines, json.dumps(DEATH), "\0\0"]))
    assert len(read(str(path)).deaths) == 1


@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.one_of(st.binary(), st.dictionaries(st.sampled_from(sorted({*DEATH, *STUCK})), st.one_of(
    st.none(), st.integers(), st.sampled_from(["seen", "death", "stuck"]), st.lists(st.integers()), st.floats()
)).map(lambda one: json.dumps(one).encode())))  # fmt: skip
def test_nothing_in_it_raises(tmp_path: Path, raw: bytes) -> None:
    path = tmp_path / "report"
    path.write_bytes(raw)
    read(str(path))


def test_one_that_is_not_there_is_empty(tmp_path: Path) -> None:
    assert read(str(tmp_path / "no")) == Report()
    (tmp_path / "link").symlink_to(tmp_path / "no")
    assert read(str(tmp_path / "link")) == Report()


def test_many_deaths_are_counted(tmp_path: Path) -> None:
    path = tmp_path / "report"
    path.write_text("\n".join([json.dumps(DEATH)] * 8))
    assert read(str(path)).lines()[-1] == "and 3 more threads died"
