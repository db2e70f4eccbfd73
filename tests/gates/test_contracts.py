"""The contracts between the packages: they hold, each can be broken, and no new package stays outside of them.

import-linter itself runs as `make contracts`; here its configuration is tried on copies of the tree.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

MUST_NAME = {
    "pure": [
        "errors",
        "model",
        "attribute",
        "budget",
        "diagnose",
        "remedy.plan",
        "remedy.verify",
        "surfaces.render",
    ],
    "cold": ["surfaces", "app", "record", "collect", "remedy", "budget", "diagnose", "attribute"],
    "wiring": ["collect"],
    "tools": ["client", "guard"],
}
"""What each contract is about; a part that does not exist yet need not be named."""

SAMPLES = [
    ("layers", {"model/broken.py": "import pgusher.demo"}),
    ("layers", {"client/__init__.py": "import pgusher.app", "app/__init__.py": ""}),
    ("layers", {"guard/__init__.py": "def run(): from pgusher.collect import x", "collect/x.py": ""}),
    ("layers", {"novelty/__init__.py": ""}),
    ("pure", {"model/broken.py": "import os"}),
    ("pure", {"model/broken.py": "from pgusher.demo import broken", "demo/broken.py": "import socket"}),
    ("surfaces", {"surfaces/tui/__init__.py": "import pgusher.surfaces.cli", "surfaces/cli/__init__.py": ""}),
    ("surfaces", {"surfaces/render/broken.py": "import pgusher.surfaces.cli", "surfaces/cli/__init__.py": ""}),
    ("cold", {"surfaces/cli/broken.py": "def late(): import psycopg"}),
    ("cold", {"collect/broken.py": "from psycopg_pool import ConnectionPool"}),
    ("tools", {"client/broken.py": "def late(): import pgusher.collect.boot"}),
    ("wiring", {"collect/broken.py": "import pgusher.attribute", "attribute/__init__.py": ""}),
]


@pytest.fixture(scope="module")
def contracts(root: Path) -> dict[str, Any]:
    """The contracts in pyproject.toml by their id."""
    project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))
    return {contract["id"]: contract for contract in project["tool"]["importlinter"]["contracts"]}


def lint(tree: Path, contract: str | None = None) -> subprocess.CompletedProcess[str]:
    """Run import-linter on a tree, on all contracts or one."""
    command = [sys.executable, "-c", "from importlinter.cli import lint_imports_command; lint_imports_command()"]
    command += ["--config", str(tree / "pyproject.toml"), "--no-cache"]
    if contract:
        command += ["--contract", contract]
    environment = {**os.environ, "PYTHONPATH": str(tree / "src")}
    return subprocess.run(command, cwd=tree, env=environment, capture_output=True, text=True, check=False)


@pytest.fixture
def copy(root: Path, tmp_path: Path) -> Path:
    """A copy of the sources, to be broken."""
    shutil.copytree(root / "src", tmp_path / "src", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(root / "pyproject.toml", tmp_path)
    return tmp_path


def test_they_hold(copy: Path) -> None:
    done = lint(copy)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(("contract", "files"), SAMPLES)
def test_each_can_be_broken(copy: Path, contract: str, files: dict[str, str]) -> None:
    for name, text in files.items():
        path = copy / "src/pgusher" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if text or not path.exists():
            path.write_text(text + "\n")
    done = lint(copy, contract)
    assert done.returncode == 1, done.stdout + done.stderr
    assert "0 kept, 1 broken" in done.stdout, done.stdout + done.stderr


def test_each_has_a_sample_that_breaks_it(contracts: dict[str, Any]) -> None:
    assert set(contracts) == {contract for contract, _ in SAMPLES}


@pytest.mark.parametrize("contract", sorted(MUST_NAME))
def test_none_leaves_out_a_part_that_it_is_about(root: Path, contracts: dict[str, Any], contract: str) -> None:
    places = {part: root / "src/pgusher" / part.replace(".", "/") for part in MUST_NAME[contract]}
    there = {f"pgusher.{part}" for part, path in places.items() if path.is_dir() or path.with_suffix(".py").exists()}
    assert there == set(contracts[contract]["source_modules"])
