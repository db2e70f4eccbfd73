"""Who is looked at beside those that are asked for: children, and the family that a Python program made by fork."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator

import pytest

from pgusher.collect.stacks.programs import with_children

_FORKS = """
import os, sys, time
for _ in range(int(sys.argv[1])):
    pid = os.fork()
    if not pid:
        time.sleep(600)
    print(pid, flush=True)
print("done", flush=True)
time.sleep(600)
"""
Family = tuple[int, list[int]]


@pytest.fixture
def family(request: pytest.FixtureRequest) -> Iterator[Family]:
    argv = [sys.executable, "-c", _FORKS, str(request.param)]
    process = subprocess.Popen(argv, stdout=subprocess.PIPE, text=True, start_new_session=True)
    try:
        assert process.stdout is not None
        yield process.pid, [int(line) for line in iter(process.stdout.readline, "done\n")]
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


@pytest.mark.parametrize("family", [2], indirect=True)
def test_of_a_forked_child_its_parent_and_siblings_are_looked_at_too(family: Family) -> None:
    parent, (child, sibling) = family
    found = with_children("/proc", [child])
    assert {pid: asked for pid, (_, asked) in found.items()} == {child: True, parent: False, sibling: False}
    assert with_children("/proc", [parent]).keys() == {parent, child, sibling}


@pytest.mark.parametrize("family", [9], indirect=True)
def test_of_a_large_family_only_who_was_asked_for(family: Family) -> None:
    assert with_children("/proc", family[1][:1]).keys() == {family[1][0]}


def test_a_parent_of_another_program_is_left_alone() -> None:
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    try:
        assert with_children("/proc", [process.pid]).keys() == {process.pid}
    finally:
        process.communicate(b"\n")
