"""What is generated is as the declarations are now, and what is stale is told."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

import write_docs
from pgusher.surfaces.cli import registry
from pgusher.surfaces.cli.help import help_text
from pgusher.surfaces.cli.options import Command

MAN = write_docs.ROOT / "src/pgusher/surfaces/cli/data/pgusher.1"


def test_nothing_is_stale() -> None:
    assert write_docs.stale() == [], "run: make docs"


def test_a_file_that_is_stale_or_missing_is_told(tmp_path: Path) -> None:
    shutil.copytree(write_docs.ROOT / "tests/surfaces/golden", tmp_path / "tests/surfaces/golden")
    for path, text in write_docs.generated(tmp_path).items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    assert write_docs.stale(tmp_path) == []
    page = tmp_path / "docs/commands.md"
    page.write_text(page.read_text(encoding="utf-8") + "x", encoding="utf-8")
    (tmp_path / "src/pgusher/surfaces/cli/data/_pgusher").unlink()
    assert {path.name for path in write_docs.stale(tmp_path)} == {"commands.md", "_pgusher"}


@pytest.mark.parametrize("command", registry.every(), ids=lambda command: command.name or "pgusher")
def test_every_option_is_in_the_help_the_manual_and_the_completions(command: Command) -> None:
    generated = {path.name: text for path, text in write_docs.generated().items()}
    manual = generated["pgusher.1"].replace("\\-", "-")
    for option in command.options:
        for flag in option.shown:
            assert flag in help_text(command)
            assert flag in manual
            assert flag in generated["pgusher.bash"]
            assert flag in generated["_pgusher"]
            assert re.search(rf"-[sl] '?{re.escape(flag.lstrip('-'))}\b|-s '\?'", generated["pgusher.fish"])


@pytest.mark.skipif(shutil.which("mandoc") is None, reason="mandoc is not installed")
def test_the_manual_page_is_good_roff() -> None:
    done = subprocess.run(
        ["mandoc", "-T", "lint", "-W", "warning", str(MAN)], capture_output=True, text=True, timeout=60, check=False
    )
    # A date would make the page stale each day.
    assert [line for line in done.stdout.splitlines() if "missing date" not in line] == []


@pytest.mark.skipif(shutil.which("mandoc") is None, reason="mandoc is not installed")
def test_examples_in_the_manual_page_can_be_copied() -> None:
    done = subprocess.run(
        ["mandoc", "-T", "utf8", "-O", "width=200", str(MAN)], capture_output=True, text=True, timeout=60, check=True
    )
    shown = re.sub(".\x08", "", done.stdout)
    for command in registry.every():
        for typed, _ in command.examples:
            assert typed in shown
