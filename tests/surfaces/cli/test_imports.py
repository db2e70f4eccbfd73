"""What the command loads on its plain path: a person whose server is full waits for it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
SLOW = frozenset(
    {
        "argparse", "asyncio", "ctypes", "dataclasses", "datetime", "decimal", "difflib", "email", "http",
        "importlib.metadata", "inspect", "json", "logging", "pathlib", "platform", "psycopg", "rich", "shlex", "shutil",
        "socket", "string", "subprocess", "tempfile", "textwrap", "threading", "unicodedata", "urllib",
    }
)  # fmt: skip

PROGRAM = """
import sys
sys.path[:0] = [{src!r}, {root!r}]
before = set(sys.modules)
from pgusher.surfaces.cli.main import main
from pgusher.surfaces.cli.context import Context
from pgusher.surfaces.cli.output import Output
from pgusher.app.config import Config
import io
loaded = set(sys.modules)
from tests.surfaces.worlds import incident
class Look:
    snapshots, elapsed_ms, gaps = (incident(),), 1.0, ()
class App:
    def config(self, path): return Config()
    def looker(self, request): return self
    def look(self): return Look
    def close(self): pass
    def diagnose(self, look, config, earlier=None):
        from pgusher.app.why import diagnose
        return diagnose(look, config, earlier)
class Terminal(io.StringIO):
    def isatty(self): return {terminal}
environ = {{"TERM": "xterm"}}
between = set(sys.modules)
code = main({words!r}, Context(App(), (Output(Terminal(), environ), Output(io.StringIO(), environ)), environ))
assert code == 1, code
print(*sorted((loaded - before) | (set(sys.modules) - between)), sep="\\n")
"""


def loaded(*words: str, terminal: bool = False) -> set[str]:
    program = PROGRAM.format(src=str(ROOT / "src"), root=str(ROOT), words=list(words), terminal=terminal)
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", program], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    return set(done.stdout.split())


@pytest.mark.parametrize("terminal", [True, False])
@pytest.mark.parametrize("words", [[], ["who"], ["who", "grafana"], ["--plain"], ["--all"]])
def test_the_plain_path_loads_nothing_slow(words: list[str], terminal: bool) -> None:
    modules = loaded(*words, terminal=terminal)
    assert "pgusher.surfaces.cli.main" in modules
    assert modules & SLOW == set()


def test_what_is_asked_for_is_loaded() -> None:
    assert "json" in loaded("--json")
    assert "pgusher.surfaces.render.chains" not in loaded()
