"""The environments of `make`. Nothing is installed here: what asks an index is replaced."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

import environment

HERE = f"{sys.version_info.major}.{sys.version_info.minor}"
OTHER = next(version for version in environment.VERSIONS if version != environment.DEFAULT)


def script(path: Path, text: str) -> Path:
    """A program that anybody may run."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(0o755)
    return path


@pytest.fixture
def empty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine on which nothing is found: no PATH, no pyenv, no home; and a checkout of its own."""
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.delenv("PYENV_ROOT", raising=False)
    shutil.copy(Path(environment.ROOT, "pyproject.toml"), tmp_path)
    monkeypatch.setattr(environment, "ROOT", str(tmp_path))
    return tmp_path


def answering(version: str, place: str) -> str:
    """A program that answers the probe as a Python of this version would."""
    return f'#!/bin/sh\necho \'["{place}", "{version}"]\'\n'


@pytest.fixture
def commands(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """The commands that would be run to install something; a new environment is told by the word `create`."""
    ran: list[list[str]] = []

    def create(interpreter: str, place: str) -> None:
        ran.append(["create", interpreter, place])
        script(Path(place, "bin", "python"), answering(HERE, "x"))

    def run(command: Sequence[str]) -> bool:
        ran.append(list(command))
        return True

    monkeypatch.setattr(environment, "create", create)
    monkeypatch.setattr(environment, "run", run)
    return ran


@pytest.mark.usefixtures("empty")
def test_the_running_interpreter_is_found_with_nothing_else() -> None:
    assert environment.find(HERE) == sys.executable
    assert environment.find(OTHER) is None


@pytest.mark.usefixtures("empty")
def test_a_shim_that_does_not_run_is_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    name = f"python{OTHER}"
    script(tmp_path / "bin" / name, "#!/bin/sh\necho 'pyenv: command not found' >&2\nexit 127\n")
    assert environment.find(OTHER) is None
    script(tmp_path / "later" / name, answering(OTHER, "/opt/python"))
    monkeypatch.setenv("PATH", f"{tmp_path}/bin{os.pathsep}{tmp_path}/later")
    assert environment.find(OTHER) == "/opt/python"


def test_what_pyenv_has_is_found_without_a_shim(empty: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    script(empty / f"home/.pyenv/versions/{OTHER}.4/bin/python{OTHER}", answering(OTHER, "/home/python"))
    assert environment.find(OTHER) == "/home/python"
    script(empty / f"pyenv/versions/{OTHER}.1/bin/python{OTHER}", answering(OTHER, "/pyenv/python"))
    monkeypatch.setenv("PYENV_ROOT", str(empty / "pyenv"))
    assert environment.find(OTHER) == "/pyenv/python"


def test_a_program_of_that_name_but_another_version_is_not_taken(empty: Path) -> None:
    script(empty / "bin" / f"python{OTHER}", answering("3.9", "/old/python"))
    assert environment.find(OTHER) is None


def test_an_environment_is_made_once_and_anew_when_the_project_asks_for_more(
    empty: Path, commands: list[list[str]]
) -> None:
    place = environment.ready()
    assert place == str(empty / ".venv")
    assert commands[0] == ["create", sys.executable, place]
    assert commands[1][-3:] == [".[demo]", "--group", "dev"]
    environment.ready()
    assert len(commands) == 2
    project = empty / "pyproject.toml"
    project.write_text(project.read_text().replace("line-length = 120", "line-length = 119"))
    environment.ready()
    assert len(commands) == 2, "a lint setting is no reason to make it anew"
    project.write_text(project.read_text().replace('"psycopg>=3.2,<4"', '"psycopg>=3.3,<4"'))
    environment.ready()
    assert len(commands) == 4


def test_one_that_does_not_run_any_more_is_made_anew(empty: Path, commands: list[list[str]]) -> None:
    environment.ready()
    (empty / ".venv/bin/python").unlink()
    environment.ready()
    assert [command[0] for command in commands].count("create") == 2


def test_each_further_version_has_an_environment_of_its_own(empty: Path, commands: list[list[str]]) -> None:
    script(empty / "bin" / f"python{OTHER}", answering(OTHER, "/opt/python"))
    assert environment.ready(OTHER) == str(empty / f".venv-{OTHER}")
    assert commands[0] == ["create", "/opt/python", str(empty / f".venv-{OTHER}")]


@pytest.mark.usefixtures("empty", "commands")
def test_a_version_that_is_not_here_is_told_with_the_way_to_see_them() -> None:
    with pytest.raises(SystemExit, match=rf"no Python {OTHER} on this machine runs\nHINT: `make pythons`"):
        environment.ready(OTHER)


def test_a_failed_installation_leaves_no_environment_that_passes_for_ready(
    empty: Path, commands: list[list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(environment, "run", lambda _: False)
    with pytest.raises(SystemExit, match="could not install what pyproject"):
        environment.ready()
    monkeypatch.setattr(environment, "run", lambda _: True)
    environment.ready()
    assert [command[0] for command in commands].count("create") == 2
    assert (empty / ".venv/made-from").exists()


def test_a_group_is_added_once(empty: Path, commands: list[list[str]]) -> None:
    environment.add("bench")
    before = len(commands)
    assert commands[-1][-2:] == ["--group", "bench"]
    assert environment.add("bench") == str(empty / ".venv")
    assert len(commands) == before
