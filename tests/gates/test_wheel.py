"""The wheel holds all of the package and nothing else, and its command runs where nothing else is installed."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

import pgusher


def missing(wheel: Path, files: set[str]) -> set[str]:
    """Which of the files the wheel lacks."""
    with zipfile.ZipFile(wheel) as archive:
        return files - set(archive.namelist())


@pytest.fixture(scope="module")
def wheel(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built from this tree."""
    into = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(into)]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    (built,) = into.glob("*.whl")
    return built


def test_it_holds_every_file_of_the_package(wheel: Path, root: Path, repository_files: list[Path]) -> None:
    source = root / "src"
    files = {str(path.relative_to(source)) for path in repository_files if path.is_relative_to(source)}
    assert "pgusher/py.typed" in files
    assert missing(wheel, files) == set()
    with zipfile.ZipFile(wheel) as archive:
        assert {name.partition("/")[0] for name in archive.namelist()} == {
            "pgusher",
            f"pgusher-{pgusher.__version__}.data",
            f"pgusher-{pgusher.__version__}.dist-info",
        }


def test_it_brings_the_manual_page_and_the_completions_to_where_a_system_looks(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        shared = {name.partition("/data/")[2] for name in archive.namelist() if "/data/share/" in name}
    assert shared == {
        "share/man/man1/pgusher.1",
        "share/bash-completion/completions/pgusher",
        "share/zsh/site-functions/_pgusher",
        "share/fish/vendor_completions.d/pgusher.fish",
    }


def test_a_file_that_it_lacks_is_told(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "x.whl", "w") as archive:
        archive.writestr("pgusher/__init__.py", "")
    assert missing(tmp_path / "x.whl", {"pgusher/__init__.py", "pgusher/py.typed"}) == {"pgusher/py.typed"}


def test_the_command_runs_with_nothing_else_installed(wheel: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path)
        (entry_points,) = (name for name in archive.namelist() if name.endswith("entry_points.txt"))
        assert "pgusher = pgusher.surfaces.cli.main:main" in archive.read(entry_points).decode()
    program = (
        f"import sys; sys.path.insert(0, {str(tmp_path)!r}); sys.argv[1:] = ['--version'];"
        "from pgusher.surfaces.cli.main import main; sys.exit(main())"
    )
    done = subprocess.run([sys.executable, "-I", "-S", "-c", program], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    # Then come the versions of what it found to work with.
    assert done.stdout.splitlines()[0] == f"pgusher {pgusher.__version__}"
