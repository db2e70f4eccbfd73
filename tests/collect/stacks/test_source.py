"""Stacks of real processes in several languages, of what may not be seen, and of what does not end in time."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from pgusher.collect.stacks import StackSource, denied
from pgusher.collect.stacks.spy import find_spy
from pgusher.model.stacks import ProcessStacks, StackOrigin

ROOT = os.geteuid() == 0
needs_root = pytest.mark.skipif(not ROOT, reason="only root may look into processes where Yama is on")


@pytest.fixture
def started() -> Iterator[list[subprocess.Popen[bytes]]]:
    processes: list[subprocess.Popen[bytes]] = []
    yield processes
    for process in processes:
        process.kill()
        process.wait()
        for stream in (process.stdin, process.stdout):
            if stream is not None:
                stream.close()


def until(process: subprocess.Popen[bytes], *calls: str, source: StackSource | None = None) -> ProcessStacks:
    """The stacks of a process as soon as its main thread sits in one of the calls."""
    deadline = time.monotonic() + 60
    while True:
        found = (source or StackSource(interval=0.05)).take([process.pid])
        main = found[0].main if found else None
        if main is not None and main.syscall in calls:
            return found[0]
        assert time.monotonic() < deadline, found
        time.sleep(0.02)


@needs_root
def test_a_program_without_python_has_its_call_and_the_pipe_it_reads(started: list[subprocess.Popen[bytes]]) -> None:
    started.append(subprocess.Popen(["cat"], stdin=subprocess.PIPE))
    stacks = until(started[0], "read")
    (thread,) = stacks.threads
    assert (stacks.source, stacks.python, stacks.gap) == (StackOrigin.PROCFS, None, None)
    assert (thread.endless, thread.main, thread.state, thread.switched) == (True, True, "S", 0)
    assert [(file.fd, file.kind) for file in thread.files] == [(0, "pipe")]
    assert stacks.comm == "cat"
    assert stacks.sampled_ms >= 50


@needs_root
def test_a_read_from_a_peer_names_it_and_since_when_it_is_silent(started: list[subprocess.Popen[bytes]]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        program = f"exec 3<>/dev/tcp/127.0.0.1/{port}; exec cat <&3"
        started.append(subprocess.Popen(["bash", "-c", program], stdout=subprocess.DEVNULL))
        with server.accept()[0] as peer:
            (file,) = until(started[0], "read").threads[0].files
            assert (file.kind, file.peer) == ("tcp", f"127.0.0.1:{port}")
            assert file.local_port == peer.getpeername()[1]
            assert file.silent_ms is not None
            assert file.silent_ms < 60_000


@needs_root
@pytest.mark.skipif(find_spy() is None, reason="py-spy is not installed")
def test_a_python_program_has_its_frames_its_clues_and_no_values(
    started: list[subprocess.Popen[bytes]], tmp_path: Path
) -> None:
    program = tmp_path / "job.py"
    program.write_text("import select\n\ndef wait(password):\n    select.select([0], [], [])\n\nwait('hunter2')\n")
    os.utime(program, (1, 1))
    started.append(subprocess.Popen([sys.executable, str(program), "--password=hunter2"], stdin=subprocess.PIPE))
    stacks = until(started[0], "select", "pselect6")
    main = stacks.main
    assert main is not None
    assert [(frame.function, frame.line) for frame in main.frames] == [("wait", 4), ("<module>", 6)]
    assert [(file.fd, file.kind) for file in main.files] == [(0, "pipe")]
    assert [clue.what for clue in stacks.clues if clue.line == 4] == ["select.select"]
    assert stacks.source is StackOrigin.PY_SPY
    assert stacks.python == f"3.{sys.version_info.minor}"
    assert stacks.cost_ms > 0
    assert "hunter2" not in repr(stacks)


def test_children_are_looked_at_too_and_a_zombie_has_no_threads(started: list[subprocess.Popen[bytes]]) -> None:
    child = subprocess.Popen(["true"])  # not waited for: it stays a zombie, and a child of this process
    started.append(child)
    deadline = time.monotonic() + 60
    while True:
        stacks = {one.pid: one for one in StackSource(interval=0, find_spy=lambda: None).take([os.getpid()])}
        if child.pid in stacks and stacks[child.pid].state == "Z":
            break
        assert time.monotonic() < deadline
    assert (stacks[child.pid].threads, stacks[child.pid].asked, stacks[child.pid].gap) == ((), False, None)
    assert stacks[child.pid].ppid == os.getpid()
    assert stacks[os.getpid()].asked


@needs_root
def test_without_py_spy_there_are_threads_and_a_gap_with_the_remedy(started: list[subprocess.Popen[bytes]]) -> None:
    started.append(subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE))
    stacks = until(started[0], "read", source=StackSource(interval=0, find_spy=lambda: None))
    assert stacks.gap is not None
    assert (stacks.gap.why, stacks.gap.opens) == ("py-spy is not installed", "pip install 'pgusher[why]'")
    assert stacks.threads[0].endless is True


@needs_root
def test_a_py_spy_that_hangs_is_given_up_within_the_deadline(
    started: list[subprocess.Popen[bytes]], tmp_path: Path
) -> None:
    slow = tmp_path / "py-spy"
    slow.write_text("#!/bin/sh\nexec sleep 600\n")
    slow.chmod(0o755)
    started += [subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) for _ in range(3)]
    stacks = StackSource(interval=0, find_spy=lambda: str(slow)).take([one.pid for one in started], deadline=0.6)
    assert len(stacks) == 3
    assert all(one.gap is not None and "tim" in one.gap.why for one in stacks)


def test_a_process_that_is_gone_is_left_out_and_no_process_is_no_error() -> None:
    assert StackSource().take([]) == ()
    assert StackSource().take([2**31 - 1]) == ()
    assert StackSource("/nowhere").take([1]) == ()


@needs_root
def test_what_an_ordinary_user_may_not_see_is_a_gap_with_the_remedy() -> None:
    program = (
        "import os, socket\nfrom pgusher.collect.stacks import StackSource\n"  # before it may not read them
        "os.setgid(65534); os.setuid(65534)\n"
        f"(one,) = [s for s in StackSource(interval=0).take([{os.getpid()}]) if s.asked]\n"
        "print(one.gap.why, '|', one.gap.opens, '|', len(one.threads) > 0, one.threads[0].switches is not None)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, env={"PYTHONPATH": _src()}
    )
    assert done.stdout.strip() == "permission denied | run pgusher as root | True True"


def _src() -> str:
    import pgusher

    return os.path.dirname(os.path.dirname(pgusher.__file__))


@pytest.mark.parametrize(
    ("scope", "capabilities", "uid", "why", "opens"),
    [
        ("3", "000001ffffffffff", 0, "ptrace_scope is 3", "reboot"),
        ("1", "0000000000000000", 1000, "permission denied", "run pgusher as root"),
        ("0", "00000000a80425fb", 0, "no CAP_SYS_PTRACE", "--cap-add SYS_PTRACE"),
        ("1", "000001ffffffffff", 0, "security module", "host's root"),
    ],
)
def test_the_remedy_depends_on_what_is_missing(
    tmp_path: Path, scope: str, capabilities: str, uid: int, why: str, opens: str
) -> None:
    (tmp_path / "sys/kernel/yama").mkdir(parents=True)
    (tmp_path / "sys/kernel/yama/ptrace_scope").write_text(scope + "\n")
    (tmp_path / "self").mkdir()
    (tmp_path / "self/status").write_text(f"Name:\tx\nCapEff:\t{capabilities}\n")
    gap = denied.why_denied(str(tmp_path), 812, uid)
    assert why in gap.why
    assert opens in gap.opens
