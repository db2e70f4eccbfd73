"""Every dependency and every exception from a lint rule says why it is there."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

MARK = re.compile(r"# noqa\b.*", re.IGNORECASE)
"""A comment that switches ruff off for its line. (mypy itself asks that `type: ignore` names what it ignores.)"""
NAMED = re.compile(r"# noqa: [A-Z]+\d+(?:, ?[A-Z]+\d+)*")
EXPLAINED = re.compile(NAMED.pattern + r" *[-#:(] *\S+ \S+.*")


def entries(project: dict[str, Any]) -> Iterator[str]:
    """Each dependency and each ignored rule that pyproject.toml names."""
    yield from project["build-system"]["requires"]
    yield from project["project"]["dependencies"]
    for extra in project["project"]["optional-dependencies"].values():
        yield from extra
    for group in project["dependency-groups"].values():
        yield from (entry if isinstance(entry, str) else entry["include-group"] for entry in group)
    lint = project["tool"]["ruff"]["lint"]
    yield from lint["ignore"]
    for rules in lint["per-file-ignores"].values():
        yield from rules


def unexplained(text: str) -> list[str]:
    """Those that no line of the file gives with a comment of two words or more."""
    told = re.findall(r'^ *(?:\{ include-group = )?"([^"]+)"(?: \})?,  # \S+ \S+', text, re.MULTILINE)
    missing = list(entries(tomllib.loads(text)))
    for entry in told:
        if entry in missing:
            missing.remove(entry)
    return missing


def unexplained_marks(text: str) -> list[str]:
    """The lines that switch a rule off without saying which, or why: in the same comment, or on the line above."""
    lines = text.splitlines()
    bad = []
    for above, line in zip(["", *lines], lines, strict=False):
        mark = MARK.search(line)
        if mark is None or EXPLAINED.fullmatch(mark.group()):
            continue
        if not (NAMED.match(mark.group()) and above.lstrip().startswith("# ")):
            bad.append(line.strip())
    return bad


def test_each_dependency_and_each_ignored_rule_says_why(root: Path) -> None:
    assert unexplained((root / "pyproject.toml").read_text(encoding="utf-8")) == []


def test_each_rule_that_a_line_switches_off_says_why(repository_files: list[Path]) -> None:
    bad = {
        str(path): marks
        for path in repository_files
        if path.suffix == ".py" and path != Path(__file__)
        if (marks := unexplained_marks(path.read_text(encoding="utf-8")))
    }
    assert bad == {}


def test_an_installation_without_extras_needs_the_driver_and_its_pool_alone(root: Path) -> None:
    project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert project["dependencies"] == ["psycopg>=3.2,<4", "psycopg-pool>=3.3,<4"]
    assert "version" not in project


SAMPLE = """
[build-system]
requires = [
    "hatchling",  # builds it
]
[project]
dependencies = [
    "psycopg>=3",
]
[project.optional-dependencies]
demo = [
    "psycopg>=3",  # the same word, explained here only
]
[dependency-groups]
dev = [
    { include-group = "lint" },  # brings ruff
]
[tool.ruff.lint]
ignore = [
    "S101",  # hm
]
[tool.ruff.lint.per-file-ignores]
"tests/**" = ["D"]
"""


def test_what_says_nothing_is_told() -> None:
    assert unexplained(SAMPLE) == ["psycopg>=3", "S101", "D"]


@pytest.mark.parametrize(
    ("line", "bad"),
    [
        ("x = 1  # noqa", True),
        ("x = 1  # noqa: S103", True),
        ("x = 1  # noqa: S103, S104 - any user may run it", False),
        ("x = 1  # noqa: S103 (any user may run it)", False),
        ("# any user may run it\nx = 1  # noqa: S103", False),
        ("# any user may run it\nx = 1  # noqa", True),
        ("x = 1  # an ordinary comment", False),
    ],
)
def test_a_rule_is_switched_off_only_by_name_and_with_a_reason(line: str, bad: bool) -> None:
    assert bool(unexplained_marks(line)) is bad
