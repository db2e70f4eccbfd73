"""From the number of a cgroup to its path and back, on a tree of our own and on the kernel's."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pgusher.collect.cgroups import CgroupPaths, parse_mounts
from tests.bed.requirements import needs_root

V2 = b"30 25 0:26 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw\n"
HYBRID = (
    b"31 25 0:27 / /sys/fs/cgroup/systemd rw - cgroup cgroup rw,name=systemd\n"
    b"32 25 0:28 / /sys/fs/cgroup/unified rw - cgroup2 none rw\n"
)


@pytest.mark.parametrize(
    ("raw", "mount"),
    [
        (V2, "/sys/fs/cgroup"),
        (HYBRID, "/sys/fs/cgroup/unified"),
        (b"30 25 0:26 /docker/abc /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n", None),
        (b"30 25 0:26 / /mnt/a\\040b rw shared:1 master:2 - cgroup2 x rw\n", "/mnt/a b"),
        (b"30 25 0:26 / /long/path rw - cgroup2 x rw\n31 25 0:26 / /s rw - cgroup2 x rw\n", "/s"),
        (b"", None),
        (b"nonsense - cgroup2 x\n", None),
    ],
)
def test_the_mount_is_found(raw: bytes, mount: str | None) -> None:
    assert parse_mounts(raw) == mount


@settings(max_examples=1000)
@given(st.binary(max_size=200), st.binary(max_size=40))
def test_no_mountinfo_raises(junk: bytes, place: bytes) -> None:
    parse_mounts(junk)
    parse_mounts(b"1 2 0:1 / " + place + b" rw - cgroup2 x rw\n" + junk)


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    (tmp_path / "proc/self").mkdir(parents=True)
    (tmp_path / "proc/self/mountinfo").write_bytes(V2)
    mount = tmp_path / "sys/fs/cgroup"
    (mount / "system.slice/x.service").mkdir(parents=True)
    (mount / "cgroup.procs").write_text("")
    return mount


def test_both_ways(tree: Path, tmp_path: Path) -> None:
    paths = CgroupPaths(str(tmp_path))
    for path in ("/", "/system.slice", "/system.slice/x.service"):
        number = os.stat(str(tree) + path).st_ino
        assert paths.path_of(number) == path
        assert paths.id_of(path) == number
    assert paths.path_of(1 << 62) is None
    assert [paths.id_of(path) for path in ("/gone", "relative", "", "/../up", "/a\0b")] == [None] * 5


def test_a_new_cgroup_is_found_but_not_by_a_walk_for_every_question(tree: Path, tmp_path: Path) -> None:
    now = [100.0]
    paths = CgroupPaths(str(tmp_path), clock=lambda: now[0])
    assert paths.path_of(1 << 62) is None
    (tree / "new.service").mkdir()
    number = (tree / "new.service").stat().st_ino
    assert paths.path_of(number) is None
    now[0] += 2
    assert paths.path_of(number) == "/new.service"


def test_without_version_2_there_is_nothing(tmp_path: Path) -> None:
    assert CgroupPaths(str(tmp_path)).path_of(1) is None
    assert CgroupPaths(str(tmp_path)).id_of("/") is None


@pytest.fixture
def real_cgroup() -> Iterator[Path]:
    mount = parse_mounts(Path("/proc/self/mountinfo").read_bytes())
    place = Path(mount or "/nowhere") / f"pgusher-test-{uuid.uuid4().hex}"
    try:
        place.mkdir()
    except OSError as error:
        pytest.skip(f"no cgroup of version 2 can be made here: {error.strerror}")
    yield place
    place.rmdir()


@needs_root
def test_a_cgroup_of_the_kernel(real_cgroup: Path) -> None:
    paths = CgroupPaths()
    number = real_cgroup.stat().st_ino
    assert paths.path_of(number) == f"/{real_cgroup.name}"
    assert paths.id_of(f"/{real_cgroup.name}") == number
