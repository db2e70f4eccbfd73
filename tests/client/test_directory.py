"""The directory that processes share: safe against links, strangers, and whatever else is in the way."""

from __future__ import annotations

import os
import stat
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from pgusher.client.budget import Budget, BudgetError
from pgusher.client.directory import Directory, DirectoryError, find_directory, open_file, own_directories
from tests.bed.requirements import needs_root

NOBODY = 65534


def test_it_is_the_same_whatever_the_environment_says(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    roots = (str(tmp_path / "none"), str(tmp_path))
    before = find_directory(system="/nonexistent", roots=roots)
    for name in ("XDG_RUNTIME_DIR", "TMPDIR", "HOME"):
        monkeypatch.setenv(name, "/somewhere")
    assert find_directory(system="/nonexistent", roots=roots) == before
    assert before == Directory(str(tmp_path / f"pgusher-{os.geteuid()}"), False)
    assert stat.S_IMODE(os.stat(before.path).st_mode) == 0o700
    assert own_directories(5, roots)[1] == str(tmp_path / "pgusher-5")


def test_one_of_an_administrator_comes_first_and_its_files_are_the_groups(tmp_path: Path) -> None:
    tmp_path.chmod(0o2770)
    found = find_directory(system=str(tmp_path), roots=("/dev/shm",))
    assert found == Directory(str(tmp_path), True)
    os.close(open_file(found, "x", 64))
    assert stat.S_IMODE((tmp_path / "x").stat().st_mode) == 0o660


def test_one_that_everybody_may_write_gets_one_of_ours_inside(tmp_path: Path) -> None:
    tmp_path.chmod(0o1777)
    assert find_directory(tmp_path).path == str(tmp_path / f"pgusher-{os.geteuid()}")


def test_a_link_in_its_place_is_refused(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / f"pgusher-{os.geteuid()}").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(DirectoryError, match=r"(?m)^cannot use .*: it is a symbolic link$"):
        find_directory(system="/nonexistent", roots=(str(tmp_path),))


@needs_root
def test_one_that_a_stranger_made_is_refused(tmp_path: Path) -> None:
    squatted = tmp_path / f"pgusher-{os.geteuid()}"
    squatted.mkdir()
    os.chown(squatted, NOBODY, NOBODY)
    with pytest.raises(DirectoryError, match=rf"(?m)it belongs to uid {NOBODY}$"):
        find_directory(system="/nonexistent", roots=(str(tmp_path),))


def test_no_root_at_all_is_told() -> None:
    with pytest.raises(DirectoryError, match=r"^no directory to share"):
        find_directory(system="/nonexistent", roots=("/nonexistent",))


def test_a_file_is_never_opened_through_a_link_nor_as_something_else(tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text("mine")
    place = Directory(str(tmp_path), False)
    (tmp_path / "link").symlink_to(victim)
    os.mkfifo(tmp_path / "pipe")
    for name in ("link", "pipe"):
        with pytest.raises(OSError, match=r"."):
            open_file(place, name, 64)
    assert victim.read_text() == "mine"


@needs_root
def test_a_file_of_a_stranger_is_refused(tmp_path: Path) -> None:
    (tmp_path / "web.budget").write_bytes(bytes(4096))
    os.chown(tmp_path / "web.budget", NOBODY, NOBODY)
    with pytest.raises(BudgetError, match=f"belongs to uid {NOBODY}"):
        Budget("web", 3, directory=tmp_path)


@pytest.fixture
def tiny(tmp_path: Path) -> Iterator[Path]:
    """A file system of one page, which is full."""
    place = tmp_path / "tiny"
    place.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4k,mode=700", "tmpfs", place], check=True)
    try:
        (place / "filler").write_bytes(bytes(4096))
        yield place
    finally:
        subprocess.run(["umount", place], check=True)


@needs_root
def test_a_full_file_system_is_one_clear_error(tiny: Path) -> None:
    with pytest.raises(
        BudgetError, match=r"(?m)^budget 'web' could not be kept: .*web.budget: no space left on device$"
    ) as told:
        Budget("web", 3, directory=tiny)
    assert "directory=" in (told.value.hint or "")


@needs_root
def test_a_read_only_file_system_is_one_clear_error(tiny: Path) -> None:
    subprocess.run(["mount", "-o", "remount,ro", tiny], check=True)
    with pytest.raises(BudgetError, match=r"(?m)read-only file system$"):
        Budget("web", 3, directory=tiny)


def test_a_file_in_the_way_is_one_clear_error(tmp_path: Path) -> None:
    (tmp_path / "x").write_text("")
    with pytest.raises(BudgetError, match=r"^budget 'web' could not be kept: cannot use "):
        Budget("web", 3, directory=tmp_path / "x")
    (tmp_path / "web.budget").write_bytes(b"something else altogether")
    with pytest.raises(BudgetError, match="not a budget of this version"):
        Budget("web", 3, directory=tmp_path)


@pytest.mark.parametrize(
    ("name", "total", "minimum", "told"),
    [
        ("../web", 3, 0, "not a name"),
        ("", 3, 0, "not a name"),
        ("web", 0, 0, "a total of 0"),
        ("web", 10**6, 0, "a total of 1000000"),
        ("web", 3, 4, "a minimum of 4"),
    ],
)
def test_numbers_that_make_no_sense_are_told(tmp_path: Path, name: str, total: int, minimum: int, told: str) -> None:
    with pytest.raises(BudgetError, match=told):
        Budget(name, total, minimum=minimum, directory=tmp_path)


def test_two_totals_in_one_process_are_told(tmp_path: Path) -> None:
    one = Budget("twice", 3, directory=tmp_path)
    assert (Budget("twice", 3, directory=tmp_path).total, one.held, one.share) == (3, 0, 3)
    with pytest.raises(BudgetError, match="two totals in one process, 3 and 4"):
        Budget("twice", 4, directory=tmp_path)


def test_the_environment_names_one_for_a_demo_that_leaves_no_trace(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PGUSHER_SHARED", str(tmp_path / "shared"))
    assert find_directory().path == str(tmp_path / "shared")
    assert find_directory(tmp_path / "given").path == str(tmp_path / "given")
    monkeypatch.setenv("PGUSHER_SHARED", "")
    roots = (str(tmp_path),)
    assert find_directory(system="/nonexistent", roots=roots).path == str(tmp_path / f"pgusher-{os.geteuid()}")
