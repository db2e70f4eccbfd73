"""What py-spy prints, also when it is torn or hostile; and which py-spy is run."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from pgusher.collect.stacks import spy
from pgusher.collect.stacks.joining import match
from pgusher.collect.stacks.tasks import Sample, Task

ONE = {
    "pid": 5,
    "thread_id": 139_963_396_171_456,
    "thread_name": "MainThread",
    "os_thread_id": None,
    "frames": [{"name": "f", "filename": "/srv/x.py", "line": 3, "locals": None}],
}


def test_a_thread_and_its_frames() -> None:
    (thread,) = spy.parse(json.dumps([ONE]).encode())
    assert (thread.ident, thread.native, thread.name) == (139_963_396_171_456, None, "MainThread")
    assert [(frame.function, frame.file, frame.line) for frame in thread.frames] == [("f", "/srv/x.py", 3)]


def test_what_does_not_fit_is_left_out() -> None:
    bad = [{**ONE, "thread_id": "x"}, {**ONE, "frames": None}, 7, {**ONE, "frames": [3, {"name": 1, "filename": ""}]}]
    (thread,) = spy.parse(json.dumps(bad).encode())
    assert thread.frames == ()
    assert spy.parse(b"[" * 100_000) == ()
    assert spy.parse(b"{}") == ()
    assert spy.parse(b"\xff") == ()


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(sorted(ONE)), inner, max_size=5),
    max_leaves=12,
)


@given(_JSON)
def test_no_output_raises(told: object) -> None:
    spy.parse(json.dumps(told).encode())


def test_a_relative_directory_of_path_is_not_looked_in(tmp_path: Path) -> None:
    program = tmp_path / "py-spy"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    executable, sys.executable = sys.executable, ""
    here = os.getcwd()
    try:
        os.chdir(tmp_path)
        assert spy.find_spy(path="") is None
        assert spy.find_spy(path=".") is None
        assert spy.find_spy(path=str(tmp_path)) == str(program)
    finally:
        os.chdir(here)
        sys.executable = executable


def test_a_py_spy_that_hangs_or_fails_is_an_error_not_an_exception(tmp_path: Path) -> None:
    slow, broken = tmp_path / "slow", tmp_path / "broken"
    slow.write_text("#!/bin/sh\nexec sleep 60\n")
    broken.write_text("#!/bin/sh\necho 'Error: Permission denied (os error 13)' >&2\nexit 1\n")
    for program in (slow, broken):
        program.chmod(0o755)
    assert "timed out" in spy.spy(str(slow), 1, 0.05).error
    found = spy.spy(str(broken), 1, 30)
    assert found.denied
    assert found.threads == ()
    assert "could not be run" in spy.spy(str(tmp_path / "none"), 1, 1).error


def task(tid: int, stack: int | None, inner: int | None = None) -> Task:
    return Task(tid, "python", "S", None, None, stack, Sample(1, 1), False, inner or tid)


def thread(ident: int, native: int | None, name: str | None = None) -> spy.SpiedThread:
    return spy.SpiedThread(ident, native, name, ())


def test_threads_are_matched_by_number_also_from_within_a_container() -> None:
    found = match([task(100, None, 7), task(101, None, 8)], [thread(1, 8), thread(2, 7)], 100)
    assert {tid: one.native for tid, one in found.items()} == {100: 7, 101: 8}


def test_threads_without_a_number_are_matched_by_their_stacks() -> None:
    low, high = 0x7F24_F229_2940, 0x7F24_F379_7950
    spied = [
        thread(high + 0x820, None, "b"),
        thread(low + 0x820, None, "a"),
        thread(0x7F24_FFFF_0000, None, "MainThread"),
    ]
    found = match([task(5, 0x7FFC_0000_0000), task(6, low), task(7, high)], spied, 5)
    assert {tid: one.name for tid, one in found.items()} == {5: "MainThread", 6: "a", 7: "b"}
