"""One staged program: its output, its end, and whether it stands still."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from pgusher.demo.parts import Part, StagingError, read_notes, switches
from tests.demo.test_server import eventually


def part(tmp_path: Path, *argv: str) -> Part:
    return Part("the part", argv, cwd=str(tmp_path), env={"PATH": os.defpath}, log=str(tmp_path / "log"))


def test_its_output_is_its_log(tmp_path: Path) -> None:
    started = part(tmp_path, "sh", "-c", "echo out; echo err >&2; printf '\\377'")
    started.process.wait()
    assert started.log == "out\nerr\n\\xff"


def test_one_that_has_ended_is_told_with_the_end_of_its_log(tmp_path: Path) -> None:
    started = part(tmp_path, "sh", "-c", "echo the reason; exit 3")
    started.process.wait()
    with pytest.raises(StagingError, match=r"^the part has ended with exit code 3\n") as caught:
        started.check()
    assert caught.value.detail == "the reason"


def test_one_that_runs_is_not(tmp_path: Path) -> None:
    started = part(tmp_path, "sleep", "600")
    started.check()
    with open(f"/proc/{started.process.pid}/stat", encoding="ascii") as file:
        fields = file.read().rpartition(")")[2].split()
    assert (int(fields[3]), int(fields[4])) == (started.process.pid, 0), "a session of its own, without a terminal"
    started.process.kill()
    started.process.wait()


def test_one_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(StagingError, match=r"^the part could not be started: No such file or directory$"):
        part(tmp_path, str(tmp_path / "nothing"))


def test_a_thread_that_waits_has_no_new_switches_and_one_that_works_has() -> None:
    waits = subprocess.Popen([sys.executable, "-c", "import threading; threading.Event().wait()"])
    works = subprocess.Popen([sys.executable, "-c", "import time\nwhile True: time.sleep(0.001)"])
    try:
        first = switches(works.pid)
        assert eventually(lambda: switches(works.pid) > first + 20)
        assert eventually(lambda: switches(waits.pid) > 0)
        assert eventually(lambda: stands_still(waits.pid, works.pid))
    finally:
        for process in (waits, works):
            process.kill()
            process.wait()
    with pytest.raises(StagingError, match=f"^process {waits.pid} should hang, but is gone\n"):
        switches(waits.pid)


def stands_still(one: int, other: int) -> bool:
    """Whether one has no new switches while another has twenty."""
    before, since = switches(one), switches(other)
    eventually(lambda: switches(other) > since + 20)
    return switches(one) == before


def test_notes_are_read_by_part(tmp_path: Path) -> None:
    for name, pid in (("a", 1), ("a", 2), ("b", 3)):
        (tmp_path / f"{name}-{pid}.json").write_text(json.dumps({"part": name, "pid": pid, "sessions": [pid * 10]}))
    assert [(note.pid, note.sessions) for note in read_notes(str(tmp_path), "a")] == [(1, (10,)), (2, (20,))]
    assert len(read_notes(str(tmp_path))) == 3
