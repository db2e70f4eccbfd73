"""The source on a /proc of our own making: torn, vanishing and changing entries, and what is read how often."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pgusher.collect import procfs
from pgusher.collect.processes import ProcessSource
from pgusher.model.process import Process
from tests.collect.fake_proc import add, host, stat_line


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def proc(tmp_path: Path) -> Path:
    host(tmp_path, btime=1_700_000_000)
    return tmp_path


def source(proc: Path, clock: Clock | None = None) -> ProcessSource:
    return ProcessSource(proc=str(proc), users={0: "root"}.get, clock=clock or Clock(), uptime=lambda: 1e6)


def one(proc: Path, pid: int) -> Process | None:
    return next((process for process in source(proc).look([pid]).processes if process.pid == pid), None)


def test_all_fields(proc: Path) -> None:
    place = add(proc, 42, comm=b"python3", start=12345, ppid=0, tty=34817, threads=9, cgroup=b"0::/x.service\n")
    process = one(proc, 42)
    assert process is not None
    assert process == Process(
        pid=42,
        start_ticks=12345,
        start_time=1_700_000_000_000_000 + 123_450_000,
        ppid=0,
        comm="python3",
        uid=place.stat().st_uid,
        user={0: "root"}.get(place.stat().st_uid),
        argv=("python3", "x.py"),
        state="S",
        sid=7,
        tty=34817,
        cwd="/srv",
        exe="/usr/bin/python3.11",
        cgroup="/x.service",
        loginuid=1000,
        audit_session=3,
        netns=4026531840,
        threads=9,
    )


def test_all_ancestors_come_too_and_loops_end(proc: Path) -> None:
    for pid, ppid in ((1, 0), (5, 1), (9, 5), (20, 21), (21, 20), (99, 1)):
        add(proc, pid, ppid=ppid)
    assert [process.pid for process in source(proc).look([9]).processes] == [1, 5, 9]
    assert [process.pid for process in source(proc).look([20, 9]).processes] == [1, 5, 9, 20, 21]


def test_what_is_no_pid_and_what_is_not_there_is_absent(proc: Path) -> None:
    add(proc, 5, ppid=0)
    facts = source(proc).look([-1, 0, 5, 77, 1 << 70])
    assert [process.pid for process in facts.processes] == [5]
    assert facts.gaps == ()


def test_a_missing_file_leaves_its_field_empty(proc: Path) -> None:
    place = add(proc, 5, ppid=0)
    for name in ("cmdline", "cgroup", "loginuid", "sessionid", "exe", "cwd", "ns/net"):
        (place / name).unlink()
    process = one(proc, 5)
    assert process is not None
    assert (process.argv, process.cgroup, process.loginuid, process.audit_session) == ((), None, None, None)
    assert (process.exe, process.cwd, process.netns) == (None, None, None)


def test_unset_login_is_none(proc: Path) -> None:
    place = add(proc, 5, ppid=0)
    (place / "loginuid").write_text("4294967295")
    (place / "sessionid").write_text("4294967295")
    process = one(proc, 5)
    assert process is not None
    assert (process.loginuid, process.audit_session) == (None, None)


def test_removed_program_and_directory(proc: Path) -> None:
    place = add(proc, 5, ppid=0)
    (place / "exe").unlink()
    (place / "exe").symlink_to("/opt/app (deleted)")
    (place / "cwd").unlink()
    (place / "cwd").symlink_to("/tmp/gone (deleted)")
    process = one(proc, 5)
    assert process is not None
    assert (process.exe, process.exe_deleted, process.cwd) == ("/opt/app", True, "/tmp/gone (deleted)")


def test_a_pid_that_is_used_again_between_two_looks_is_another_process(proc: Path) -> None:
    looking = source(proc)
    add(proc, 5, ppid=0, start=100, cmdline=b"old\0")
    assert looking.look([5]).processes[0].argv == ("old",)
    add(proc, 5, ppid=0, start=200, cmdline=b"new\0")
    after = looking.look([5]).processes[0]
    assert (after.start_ticks, after.argv) == (200, ("new",))


def test_a_pid_that_is_used_again_within_a_look_is_not_mixed(proc: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = add(proc, 5, ppid=0, start=100, cmdline=b"old\0")
    real = procfs.read

    def changing(path: str, directory: int | None = None, limit: int = 4096) -> bytes:
        answer = real(path, directory, limit)
        if path == "cmdline":
            (place / "stat").write_bytes(stat_line(5, start=200, ppid=0))
        return answer

    monkeypatch.setattr(procfs, "read", changing)
    assert source(proc).look([5]).processes == ()


def test_another_program_within_a_look_is_read_whole(proc: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = add(proc, 5, comm=b"sh", ppid=0, cmdline=b"sh\0-c\0x\0", stack=1)
    real = procfs.read

    def changing(path: str, directory: int | None = None, limit: int = 4096) -> bytes:
        answer = real(path, directory, limit)
        if path == "cmdline":
            (place / "stat").write_bytes(stat_line(5, b"python3", ppid=0, stack=2))
            (place / "cmdline").write_bytes(b"python3\0x.py\0")
        return answer

    monkeypatch.setattr(procfs, "read", changing)
    process = source(proc).look([5]).processes[0]
    assert (process.comm, process.argv) == ("python3", ("python3", "x.py"))


@pytest.mark.parametrize("dies_at", ["stat", "cgroup", "cmdline"])
def test_a_process_that_ends_during_the_look_is_absent(
    proc: Path, monkeypatch: pytest.MonkeyPatch, dies_at: str
) -> None:
    place = add(proc, 5, ppid=0)
    real = procfs.read

    def dying(path: str, directory: int | None = None, limit: int = 4096) -> bytes:
        answer = real(path, directory, limit)
        if path == dies_at:
            for name in ("stat", "cgroup", "cmdline"):
                (place / name).unlink(missing_ok=True)
        return answer

    monkeypatch.setattr(procfs, "read", dying)
    facts = source(proc).look([5])
    assert (facts.processes, facts.gaps) == ((), ())


def test_parent_that_ended_is_replaced_by_the_new_one(proc: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    add(proc, 1, ppid=0)
    place = add(proc, 5, ppid=4)
    real = procfs.read
    reads: list[str] = []

    def reparenting(path: str, directory: int | None = None, limit: int = 4096) -> bytes:
        reads.append(path)
        if path == "stat" and reads.count("stat") == 3:
            (place / "stat").write_bytes(stat_line(5, ppid=1))
        return real(path, directory, limit)

    monkeypatch.setattr(procfs, "read", reparenting)
    assert [(process.pid, process.ppid) for process in source(proc).look([5]).processes] == [(1, 0), (5, 1)]


def test_parent_that_may_not_be_seen_ends_the_chain_of_ancestors(proc: Path) -> None:
    add(proc, 5, ppid=4)
    assert [(process.pid, process.ppid) for process in source(proc).look([5]).processes] == [(5, 4)]


def test_known_processes_cost_one_read_and_state_is_new(proc: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    add(proc, 5, ppid=0, state="S")
    looking = source(proc)
    first = looking.look([5]).processes[0]
    reads: list[str] = []
    real = procfs.read

    def counting(path: str, directory: int | None = None, limit: int = 4096) -> bytes:
        reads.append(path)
        return real(path, directory, limit)

    monkeypatch.setattr(procfs, "read", counting)
    assert looking.look([5]).processes[0] is first
    assert [path for path in reads if "boot" not in path and path != f"{proc}/stat"] == ["stat"]
    add(proc, 5, ppid=0, state="D")
    assert looking.look([5]).processes[0].state == "D"


def test_a_new_title_is_seen_after_a_while(proc: Path) -> None:
    clock = Clock()
    looking = source(proc, clock)
    add(proc, 5, ppid=0, cmdline=b"worker: idle\0")
    assert looking.look([5]).processes[0].argv == ("worker: idle",)
    add(proc, 5, ppid=0, cmdline=b"worker: busy\0")
    clock.now += 61
    assert looking.look([5]).processes[0].argv == ("worker: busy",)


def test_a_new_program_is_seen_at_once(proc: Path) -> None:
    looking = source(proc)
    add(proc, 5, comm=b"sh", ppid=0, cmdline=b"sh\0", stack=1)
    looking.look([5])
    add(proc, 5, comm=b"sh", ppid=0, cmdline=b"python3\0", stack=2)
    assert looking.look([5]).processes[0].argv == ("python3",)


def test_a_clock_that_was_set_moves_the_start_times(proc: Path) -> None:
    times = iter([1_000_000, 5_000_000])
    add(proc, 5, ppid=0, start=0)
    looking = ProcessSource(proc=str(proc), boot=lambda: next(times))
    assert [looking.look([5]).processes[0].start_time for _ in range(2)] == [1_000_000, 5_000_000]


def test_what_is_kept_is_bounded(proc: Path) -> None:
    looking = source(proc)
    for number in range(400):
        add(proc, 5, ppid=0, start=number, cmdline=b"job %d\0" % number)
        looking.look([5])
    assert len(looking._known) == 1
    assert len(looking._files._lines) <= 80


PART = st.sampled_from([b"5 (", b") S 1 2 3", b" ", b"\0", b"\n", b"0::/", b"9" * 30, b"\xff\xfe", b")", b"Z"])
JUNK = st.one_of(st.binary(max_size=120), st.lists(PART, max_size=20).map(b"".join))


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(stat=JUNK | st.just(stat_line(5)), cmdline=JUNK, cgroup=JUNK, login=JUNK)
def test_torn_files_never_raise(proc: Path, stat: bytes, cmdline: bytes, cgroup: bytes, login: bytes) -> None:
    place = add(proc, 5, stat=stat, cmdline=cmdline, cgroup=cgroup)
    (place / "loginuid").write_bytes(login)
    (place / "sessionid").write_bytes(login)
    for process in source(proc).look([5]).processes:
        repr(process).encode()
