"""A test that fails beside others gets one more chance, alone; one that fails both times fails the run."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

TOOL = Path(__file__).parents[2] / "tools" / "run_tests.py"
LATE = """
from pathlib import Path

def test_late():
    seen = Path("seen")
    again = seen.exists()
    seen.touch()
    assert again

def test_fine():
    pass
"""
DEFECT = "import pytest\n\n@pytest.mark.parametrize('i', range({}))\ndef test_defect(i):\n    assert not 'wrong'\n"


def run(directory: Path, *args: str) -> tuple[int, str]:
    (directory / "pytest.ini").write_text("[pytest]\ncache_dir = .cache/pytest\naddopts = --strict-config\n")  # as ours
    env = {**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}  # a quicker start
    done = subprocess.run(
        [sys.executable, TOOL, "-p", "xdist", *args],
        cwd=directory,
        env=env,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    return done.returncode, done.stdout


def test_what_fails_beside_others_and_holds_alone_is_told_by_name(tmp_path: Path) -> None:
    (tmp_path / "test_a.py").write_text(LATE)
    status, said = run(tmp_path)
    assert status == 0
    assert "failed beside others, now once more alone: 1" in said
    assert said.rstrip().endswith("   test_a.py::test_late")


@pytest.mark.parametrize("defects", [1, 6])
def test_what_fails_both_times_and_what_fails_too_often_fails_the_run(tmp_path: Path, defects: int) -> None:
    (tmp_path / "test_a.py").write_text(LATE)
    (tmp_path / "test_b.py").write_text(DEFECT.format(defects))
    status, said = run(tmp_path)
    assert status == 1
    assert ("once more alone" in said) == (defects == 1)
    assert "hold alone" not in said


def test_a_run_without_failure_is_left_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "test_a.py").write_text("def test_fine():\n    pass\n")
    status, said = run(tmp_path)
    assert (status, "once more" in said) == (0, False)
