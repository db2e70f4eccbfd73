"""What an import brings with it, seen in a fresh interpreter.

An application pays for `import pgusher` in each of its processes, and a person whose server is full waits for the
command: psycopg alone costs more than half of the time that a cold command may take.
"""

from __future__ import annotations

import subprocess
import sys
import sysconfig
from pathlib import Path

HEAVY = frozenset(
    {
        "asyncio",
        "click",
        "concurrent",
        "email",
        "http",
        "logging",
        "multiprocessing",
        "psutil",
        "psycopg",
        "psycopg_pool",
        "rich",
        "sqlite3",
        "ssl",
        "textual",
        "typer",
        "unittest",
    }
)
"""What the command must not load before it knows that it needs it."""


def brought(statement: str, *path: Path) -> set[str]:
    """The modules that the statement loads. Without site, so that no .pth file has loaded any of them before."""
    packages = sysconfig.get_path("purelib"), sysconfig.get_path("platlib")
    program = (
        f"import sys; sys.path[:0] = {[*map(str, path), *packages]!r}; before = set(sys.modules); {statement};"
        "print(*sorted(set(sys.modules) - before), sep='\\n')"
    )
    done = subprocess.run([sys.executable, "-I", "-S", "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return set(done.stdout.split())


def tops(modules: set[str]) -> set[str]:
    """The top-level names of modules."""
    return {name.partition(".")[0] for name in modules}


def test_import_pgusher_brings_nothing_but_its_errors(root: Path) -> None:
    assert brought("import pgusher", root / "src") <= {"__future__", "pgusher", "pgusher.errors"}


def test_the_command_brings_nothing_heavy(root: Path) -> None:
    modules = brought("import pgusher.surfaces.cli.main", root / "src")
    assert "pgusher.surfaces.cli.main" in modules
    assert tops(modules) & HEAVY == set()
    # What `pgusher run` pays before each job, which knows no snapshot.
    assert not any(name.startswith(("pgusher.model.snapshot", "pgusher.model.facts")) for name in modules)


def test_every_module_of_the_model_brings_standard_library_alone(root: Path) -> None:
    names = [f"pgusher.model.{path.stem}" for path in (root / "src/pgusher/model").glob("*.py")]
    modules = tops(brought("import " + ", ".join(names), root / "src"))
    assert modules - {"pgusher"} <= sys.stdlib_module_names


def test_heavy_modules_are_seen_through_a_second_import(tmp_path: Path) -> None:
    (tmp_path / "light.py").write_text("import heavier\n")
    (tmp_path / "heavier.py").write_text("import asyncio, psycopg\n")
    assert {"asyncio", "psycopg"} <= tops(brought("import light", tmp_path)) & HEAVY
