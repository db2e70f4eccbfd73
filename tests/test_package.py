from __future__ import annotations

import re
import subprocess
import sys

import pgusher


def test_every_public_name_is_there() -> None:
    assert all(hasattr(pgusher, name) for name in pgusher.__all__)


def test_the_version_is_one_that_an_index_takes() -> None:
    assert re.fullmatch(r"\d+\.\d+\.\d+(?:(?:a|b|rc)\d+)?(?:\.dev\d+)?", pgusher.__version__)


def test_python_m_is_the_same_command() -> None:
    done = subprocess.run([sys.executable, "-m", "pgusher", "--version"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith(f"pgusher {pgusher.__version__}\n")
