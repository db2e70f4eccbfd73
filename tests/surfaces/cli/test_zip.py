"""pgusher out of a zip: what it reads beside its modules lies in there, too."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

import pgusher
from pgusher.app.report import _prose
from pgusher.demo.server import EmbeddedServer
from pgusher.surfaces.cli.completion import script

_SOURCE = Path(pgusher.__file__).parents[1]


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A zip of the package, as `python -m zipapp` makes it."""
    path = tmp_path_factory.mktemp("zip") / "pgusher.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for file in sorted((_SOURCE / "pgusher").rglob("*")):
            if file.is_file() and file.suffix != ".pyc":
                archive.write(file, file.relative_to(_SOURCE))
    return path


def _run(archive: Path, *words: str) -> subprocess.CompletedProcess[str]:
    rest = [entry for entry in sys.path if entry and Path(entry) not in {_SOURCE, _SOURCE.parent}]
    code = "import sys; from pgusher.surfaces.cli.main import main; sys.exit(main())"
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PG")}
    environment.update(PYTHONPATH=os.pathsep.join([str(archive), *rest]))
    return subprocess.run(
        [sys.executable, "-P", "-c", code, *words],
        env=environment, capture_output=True, text=True, timeout=120, check=False, cwd="/",
    )  # fmt: skip


def test_a_server_is_looked_at(archive: Path, server: EmbeddedServer) -> None:
    done = _run(archive, "-h", "127.0.0.1", "-U", "postgres", "-p", str(server.port))
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("status\tok\nslots\t")


def test_versions_and_libpq(archive: Path) -> None:
    done = _run(archive, "--version")
    assert (done.returncode, done.stderr) == (0, "")
    assert "\nlibpq " in done.stdout


def test_the_page_of_a_rule(archive: Path) -> None:
    done = _run(archive, "explain", "slots-exhausted")
    assert (done.returncode, done.stderr) == (0, "")
    assert "slots" in done.stdout


def test_the_completion_of_a_shell(archive: Path) -> None:
    done = _run(archive, "completion", "bash")
    assert (done.returncode, done.stdout) == (0, script("bash"))


def test_the_demo_says_that_it_needs_files(archive: Path) -> None:
    done = _run(archive, "demo")
    assert done.returncode == 3
    assert done.stderr.startswith("pgusher: the demo cannot be played out of a zip")


def test_the_words_of_the_sources_are_read_from_all_of_them() -> None:
    assert {"titles", "crontab", "grafana"} <= {word.lower() for word in _prose()}
