"""The files of /proc as values: every shape the kernel writes, and no exception for any bytes at all."""

from __future__ import annotations

import os

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pgusher.collect import procfs
from tests.collect.fake_proc import stat_line

ID = "0123456789abcdef" * 4


@pytest.mark.parametrize(
    "comm",
    [
        b"cron",
        b"(sd-pam)",
        b"a) S 1 (b",
        b"two words",
        b"line\nbreak",
        b") ",
        b"",
        b"\xff\xfe",
        b"kworker/0:1H-kblockd",
    ],
)
def test_name_may_hold_anything(comm: bytes) -> None:
    stat = procfs.parse_stat(stat_line(42, comm, state="D", ppid=7, start=123, threads=3, tty=34816))
    assert stat is not None
    assert (stat.pid, stat.state, stat.ppid, stat.start_ticks, stat.threads, stat.tty) == (42, "D", 7, 123, 3, 34816)
    assert stat.comm == comm.decode("utf-8", "backslashreplace")
    assert not stat.kernel_thread


def test_own_line_is_understood() -> None:
    stat = procfs.parse_stat(procfs.read("/proc/self/stat"))
    assert stat is not None
    assert (stat.pid, stat.ppid, stat.sid) == (os.getpid(), os.getppid(), os.getsid(0))
    assert stat.start_stack > 1


@pytest.mark.parametrize("cut", range(0, 200, 7))
def test_torn_line_is_none_or_the_same_process(cut: int) -> None:
    whole = stat_line(42, b"a) (b", start=123)
    stat = procfs.parse_stat(whole[:cut])
    assert stat is None or (stat.pid, stat.comm) == (42, "a) (b")


@pytest.mark.parametrize(
    ("raw", "path"),
    [
        (b"0::/system.slice/orders-api.service\n", "/system.slice/orders-api.service"),
        (b"0::/\n", "/"),
        (b"0::/system.slice/x.service (deleted)\n", "/system.slice/x.service"),
        (b"5:cpu:/\n1:name=systemd:/user.slice/session-3.scope\n0::/user.slice/session-3.scope\n",
         "/user.slice/session-3.scope"),
        (b"5:cpu:/\n1:name=systemd:/system.slice/cron.service\n0::/\n", "/system.slice/cron.service"),
        (f"4:memory:/docker/{ID}\n1:name=systemd:/docker/{ID}\n0::/system.slice/docker.service\n".encode(),
         f"/docker/{ID}"),
        (f"4:memory:/docker/{ID}\n0::/\n".encode(), f"/docker/{ID}"),
        (b"4:memory:/process_api/x\n1:name=systemd:/\n0::/\n", "/"),
        (b"3:cpu,cpuacct:/\n2:name=openrc:/x\n", None),
        (b"1:name=systemd:/a:b:c\n", "/a:b:c"),
        (b"0::/../../user.slice/session-1.scope\n", "/../../user.slice/session-1.scope"),
        (b"0::/caf\xe9.service\n", "/caf\\xe9.service"),
        (b"", None),
        (b"nonsense\n::\n0:\n0::relative\n", None),
    ],
)  # fmt: skip
def test_the_cgroup_that_says_most_is_taken(raw: bytes, path: str | None) -> None:
    assert procfs.parse_cgroup(raw) == path


@pytest.mark.parametrize(
    ("raw", "number"),
    [(b"1000", 1000), (b"0\n", 0), (b"4294967295", None), (b"", None), (b"-1", None), (b"9" * 40, None), (b"x", None)],
)
def test_unset_login_is_none(raw: bytes, number: int | None) -> None:
    assert procfs.parse_number(raw) == number


@pytest.mark.parametrize(
    ("link", "inode"),
    [(b"net:[4026531840]", 4026531840), (b"net:[]", None), (b"", None), (b"net:[x]", None), (b"net:[\xb2]", None)],
)
def test_namespace_is_the_inode_of_its_link(link: bytes, inode: int | None) -> None:
    assert procfs.parse_namespace(link) == inode


def test_a_removed_program_is_told_apart_from_its_name() -> None:
    assert procfs.parse_exe(b"/usr/bin/python3.11 (deleted)") == ("/usr/bin/python3.11", True)
    assert procfs.parse_exe(b"/usr/bin/python3.11") == ("/usr/bin/python3.11", False)


PIECES = st.sampled_from(
    [b"0::", b"1:name=systemd:", b"/", b"\n", b":", b" (", b") ", b" ", b"S", b"1", b"-7", b"\xff", b"[", b"]"]
)
HOSTILE = st.one_of(st.binary(max_size=300), st.lists(PIECES, max_size=80).map(b"".join))


@settings(max_examples=3000)
@given(HOSTILE)
def test_no_bytes_raise(raw: bytes) -> None:
    stat = procfs.parse_stat(raw)
    assert stat is None or isinstance(stat.start_ticks, int)
    path = procfs.parse_cgroup(raw)
    assert path is None or path.startswith("/")
    assert procfs.parse_number(raw) is None or raw.strip().isdigit()
    procfs.parse_namespace(raw)
    procfs.parse_exe(raw)


@settings(max_examples=2000)
@given(st.binary(max_size=64), st.integers(0, 2**22), st.integers(0, 2**60), st.integers(0, 1 << 62))
def test_any_name_gives_back_its_numbers(comm: bytes, pid: int, start: int, stack: int) -> None:
    stat = procfs.parse_stat(stat_line(pid, comm, start=start, stack=stack))
    assert stat is not None
    assert (stat.pid, stat.start_ticks, stat.start_stack) == (pid, start, stack)


def test_huge_input_takes_no_time_to_speak_of() -> None:
    for raw in (
        b"1 (" * 50_000,
        b") " * 50_000,
        b"0::/" * 50_000,
        b"1:name=systemd:/" + b"a" * 200_000,
        b"9" * 200_000,
    ):
        procfs.parse_stat(raw)
        procfs.parse_cgroup(raw)
        procfs.parse_number(raw)
