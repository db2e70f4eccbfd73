"""What is pure calls nothing that reads, writes or runs, and the model imports the standard library alone.

import-linter holds what a pure module may import; the built-in functions need no import, so they are looked for here.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

PURE = ("errors.py", "model", "attribute", "diagnose", "remedy/plan", "remedy/verify", "surfaces/render")
"""The pure parts of src/pgusher; those that do not exist yet have no module to look at."""
IMPURE = frozenset({"open", "print", "input", "breakpoint", "exec", "eval", "compile", "__import__", "globals"})


def modules(part: Path) -> list[Path]:
    """The modules of a package, or the one module."""
    module = part.with_suffix(".py")
    return sorted(part.rglob("*.py")) if part.is_dir() else [module] if module.exists() else []


def impure_calls(path: Path) -> list[str]:
    """Each use of a built-in that does something, with its line."""
    names = (node for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))) if isinstance(node, ast.Name))
    return [f"{path.name}:{node.lineno}: {node.id}" for node in names if node.id in IMPURE]


def imported(path: Path) -> Iterator[str]:
    """The names of the modules that a module imports, at the top or within a function."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module or ""


def foreign(path: Path) -> list[str]:
    """What a module imports beyond the standard library, the model and the errors."""
    own = ("pgusher.model", "pgusher.errors")
    return [
        name
        for name in imported(path)
        if not name.startswith(own) and name.partition(".")[0] not in sys.stdlib_module_names
    ]


@pytest.mark.parametrize("part", PURE)
def test_pure_parts_call_nothing_that_reads_or_writes(root: Path, part: str) -> None:
    found = [call for path in modules(root / "src/pgusher" / part) for call in impure_calls(path)]
    # values.py makes `__init__` from the names of fields, as dataclasses does: no text from outside gets there.
    assert [call for call in found if not (part == "model" and call.startswith("values.py") and "exec" in call)] == []


def test_the_model_imports_the_standard_library_alone(root: Path) -> None:
    found = modules(root / "src/pgusher/model")
    assert found
    assert {path.name: foreign(path) for path in found if foreign(path)} == {}


def test_a_module_that_reads_is_told(tmp_path: Path) -> None:
    sample = tmp_path / "sample.py"
    sample.write_text("import os.path\n\ndef f(name):\n    import psycopg\n    return open(name).read()\n")
    assert impure_calls(sample) == ["sample.py:5: open"]
    assert foreign(sample) == ["psycopg"]


def test_a_module_that_imports_a_package_above_it_is_told(tmp_path: Path) -> None:
    sample = tmp_path / "sample.py"
    sample.write_text("from pgusher.collect import sockets\nfrom pgusher.model.text import clean\nimport json\n")
    assert foreign(sample) == ["pgusher.collect"]
