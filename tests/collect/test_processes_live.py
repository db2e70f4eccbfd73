"""The source on the real /proc: processes that the tests start, rename, end and start again."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pgusher.collect import procfs, rights
from pgusher.collect.boot import boot_time
from pgusher.collect.processes import ProcessSource
from pgusher.collect.users import Users
from pgusher.model.process import Process
from pgusher.model.redact import HIDDEN
from tests.bed.requirements import needs_root

SECRET = "s3cr3tW0rd"
SRC = str(Path(__file__).resolve().parents[2] / "src")
Start = Callable[..., subprocess.Popen[str]]


@pytest.fixture
def start() -> Iterator[Start]:
    """Start a program that prints one line when it is ready; it ends with the test."""
    started: list[subprocess.Popen[str]] = []

    def run(*words: str | bytes, cwd: Path | None = None) -> subprocess.Popen[str]:
        child = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=cwd)
        started.append(child)
        assert child.stdout is not None
        assert child.stdout.readline().strip() == "ready"
        return child

    yield run
    for child in started:
        child.kill()
        child.communicate()


def python(code: str) -> tuple[str, ...]:
    return (sys.executable, "-c", textwrap.dedent(code))


WAIT = "print('ready', flush=True); import sys; sys.stdin.read()"

SLEEP = "import time; print('ready', flush=True); time.sleep(60)"


def one(pid: int, source: ProcessSource | None = None) -> Process:
    facts = (source or ProcessSource()).look([pid])
    return next(process for process in facts.processes if process.pid == pid)


def test_own_process() -> None:
    process = one(os.getpid())
    assert (process.ppid, process.uid, process.sid) == (os.getppid(), os.geteuid(), os.getsid(0))
    assert process.user == Users().name(os.geteuid())
    assert process.exe == os.path.realpath(sys.executable)
    assert process.cwd == os.getcwd()
    assert process.netns == os.stat("/proc/self/ns/net").st_ino
    assert process.cgroup is not None
    assert process.argv
    assert process.state in "RS"


def test_a_tree_with_all_its_ancestors(start: Start) -> None:
    child = start("/bin/sh", "-c", f'{sys.executable} -c "$1"; exit 3', "sh", WAIT)
    grandchildren = Path(f"/proc/{child.pid}/task/{child.pid}/children").read_text().split()
    facts = ProcessSource().look([int(grandchildren[0])])
    by_pid = {process.pid: process for process in facts.processes}
    assert by_pid[int(grandchildren[0])].ppid == child.pid
    assert by_pid[child.pid].argv[:2] == ("/bin/sh", "-c")
    assert by_pid[child.pid].ppid == os.getpid()
    assert {1, os.getpid(), os.getppid()} <= by_pid.keys()
    assert list(by_pid) == sorted(by_pid)


def test_start_time_is_right_to_the_tick(start: Start) -> None:
    before = time.time_ns() // 1000
    child = start(*python(WAIT))
    after = time.time_ns() // 1000
    assert before - 11_000 <= one(child.pid).start_time <= after + 1_000


def test_boot_time_is_that_of_the_kernel_and_does_not_waver() -> None:
    lines = Path("/proc/stat").read_text().splitlines()
    seconds = next(int(line.split()[1]) for line in lines if line.startswith("btime"))
    assert abs(boot_time() - seconds * 1_000_000) < 2_000_000
    assert len({boot_time() for _ in range(200)}) <= 2


def test_a_name_with_parentheses_blanks_and_newlines(start: Start) -> None:
    child = start(*python(f"import ctypes; ctypes.CDLL(None).prctl(15, b') S 1 (\\n x', 0, 0, 0); {WAIT}"))
    process = one(child.pid)
    assert process.comm == ") S 1 (\n x"
    assert process.ppid == os.getpid()


OVERWRITE = """
    import ctypes
    argc, argv = ctypes.c_int(), ctypes.POINTER(ctypes.c_void_p)()
    # What setproctitle does: the title over the arguments, NULs behind it. Found by the kernel's own account.
    fields = open('/proc/self/stat', 'rb').read().rpartition(b') ')[2].split()
    start, end = int(fields[45]), int(fields[46])
    ctypes.memset(start, 0, end - start)
    ctypes.memmove(start, TITLE, len(TITLE))
"""


def test_a_title_written_over_the_arguments(start: Start) -> None:
    code = f"TITLE = b'gunicorn: worker [orders]'\n{textwrap.dedent(OVERWRITE)}\n{WAIT}"
    child = start(sys.executable, "-c", code, "x" * 200, "y" * 50)
    assert one(child.pid).argv == ("gunicorn: worker [orders]",)


def test_a_secret_in_a_title_and_in_arguments_is_hidden(start: Start) -> None:
    code = f"TITLE = b'sync --password {SECRET} postgresql://bob:{SECRET}@db/x'\n{textwrap.dedent(OVERWRITE)}\n{WAIT}"
    titled = start(sys.executable, "-c", code, "x" * 200)
    plain = start(*python(WAIT), f"postgresql://bob:{SECRET}@db/x", "--password", SECRET, f"PGPASSWORD={SECRET}")
    for pid in (titled.pid, plain.pid):
        assert SECRET not in repr(ProcessSource().look([pid]))
        assert HIDDEN in " ".join(one(pid).argv)


def test_ten_kilobytes_of_arguments_and_what_is_no_utf_8(start: Start) -> None:
    child = start(sys.executable, "-c", WAIT, "x" * 10_240, b"caf\xe9", *["w"] * 500)
    argv = one(child.pid).argv
    assert len(argv[3]) < 4200
    assert argv[3].endswith("characters]")
    assert argv[4] == "caf\\xe9"
    assert argv[-1] == "[+249 words]"


def test_a_secret_behind_what_is_read_of_a_huge_command_line(start: Start) -> None:
    child = start(sys.executable, "-c", WAIT, "x" * 65_000, f"postgresql://{'u' * 400}:{SECRET * 20}@db/x")
    assert SECRET not in repr(ProcessSource().look([child.pid]))


def test_a_zombie_has_no_arguments(start: Start) -> None:
    parent = start(*python(f"import os, time\nif os.fork() == 0: os._exit(0)\ntime.sleep(0.1)\n{WAIT}"))
    children = Path(f"/proc/{parent.pid}/task/{parent.pid}/children").read_text().split()
    process = one(int(children[0]))
    assert (process.state, process.argv, process.exe, process.ppid) == ("Z", (), None, parent.pid)


def test_a_kernel_thread_has_no_arguments() -> None:
    stat = procfs.parse_stat(procfs.read("/proc/2/stat")) if os.path.exists("/proc/2/stat") else None
    if stat is None or not stat.kernel_thread:
        pytest.skip("no kernel threads in this pid namespace")
    process = one(2)
    assert (process.argv, process.exe, process.comm) == ((), None, "kthreadd")


def test_another_program_in_the_same_process_is_seen(start: Start) -> None:
    source = ProcessSource()
    child = start("/bin/sh", "-c", f'echo ready; read line; exec {sys.executable} -c "$1"', "sh", WAIT)
    assert one(child.pid, source).comm == "sh"
    assert child.stdin is not None
    assert child.stdout is not None
    child.stdin.write("go\n")
    child.stdin.flush()
    assert child.stdout.readline() == "ready\n"
    process = one(child.pid, source)
    assert process.argv[0] == sys.executable
    assert process.exe == os.path.realpath(sys.executable)


def test_a_removed_program_and_directory_are_told(start: Start, tmp_path: Path) -> None:
    program, directory = tmp_path / "my shell", tmp_path / "gone"
    program.write_bytes(Path(os.path.realpath("/bin/sh")).read_bytes())
    program.chmod(0o755)
    directory.mkdir()
    child = start(str(program), "-c", "echo ready; read x", cwd=directory)
    program.unlink()
    directory.rmdir()
    process = one(child.pid)
    assert (process.exe, process.exe_deleted) == (str(program), True)
    assert process.cwd == f"{directory} (deleted)"


def test_an_ended_process_is_absent_and_no_gap() -> None:
    child = subprocess.Popen(["/bin/true"])
    child.wait()
    facts = ProcessSource().look([child.pid])
    assert (facts.processes, facts.gaps) == ((), ())


def test_processes_that_come_and_go_while_we_look() -> None:
    source = ProcessSource()
    for _ in range(60):
        children = [subprocess.Popen(["/bin/true"]) for _ in range(3)]
        facts = source.look([child.pid for child in children])
        for child in children:
            child.wait()
        assert facts.gaps == ()
        known = {child.pid for child in children}
        assert {process.ppid for process in facts.processes if process.pid in known} <= {os.getpid()}


def test_an_orphan_gets_its_new_parent(start: Start) -> None:
    source = ProcessSource()
    parent = start("/bin/sh", "-c", f'{sys.executable} -c "$1" & wait', "sh", SLEEP)
    orphan = int(Path(f"/proc/{parent.pid}/task/{parent.pid}/children").read_text().split()[0])
    try:
        assert one(orphan, source).ppid == parent.pid
        parent.kill()
        parent.wait()
        process = one(orphan, source)
        assert process.ppid not in (0, parent.pid)
        assert process.ppid in {known.pid for known in source.look([orphan]).processes}
    finally:
        os.kill(orphan, signal.SIGKILL)


def test_nothing_is_read_of_known_processes(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    child = start(*python(WAIT))
    # As if it had been running for a minute: a young process is read anew at each look.
    source = ProcessSource(uptime=lambda: time.clock_gettime(time.CLOCK_BOOTTIME) + 60)
    first = source.look([child.pid]).processes
    read: list[str] = []
    monkeypatch.setattr(procfs, "read", lambda path, *_: read.append(path))
    again = source.look([child.pid]).processes
    assert read == []
    assert [id(process) for process in again] == [id(process) for process in first]


# A new pid namespace, so that the pids of this host are left alone; the /proc of it is mounted over the old one there.
REUSE = """
    import os, signal, sys, time
    from pgusher.collect.processes import ProcessSource
    from pgusher.collect import procfs

    def child(*words):
        pid = os.fork()
        if pid == 0:
            os.execv('/bin/sh', ['sh', '-c', 'kill -STOP $$', *words])
        while not open(f'/proc/{pid}/cmdline').read().startswith('sh' + chr(0)):
            time.sleep(0.001)
        return pid

    source = ProcessSource(uptime=lambda: time.clock_gettime(time.CLOCK_BOOTTIME) + 60)
    reused = 0
    for round in range(20):
        old = child('old')
        before = [p for p in source.look([old]).processes if p.pid == old][0]
        held = os.open(f'/proc/{old}', os.O_RDONLY | os.O_DIRECTORY)
        os.kill(old, signal.SIGKILL)
        os.waitpid(old, 0)
        time.sleep(0.02)
        open('/proc/sys/kernel/ns_last_pid', 'w').write(str(old - 1))
        new = child('new')
        if new == old:
            reused += 1
            after = [p for p in source.look([new]).processes if p.pid == new][0]
            assert before.argv[-1] == 'old' and after.argv[-1] == 'new', (before, after)
            assert after.start_ticks > before.start_ticks
            try:
                procfs.read('stat', held)
            except (ProcessLookupError, FileNotFoundError):
                pass
            else:
                raise AssertionError('the old directory shows the new process')
        os.close(held)
        os.kill(new, signal.SIGKILL)
        os.waitpid(new, 0)
    print(reused)
"""


def isolated(code: str, *options: str, before: str = "") -> subprocess.CompletedProcess[str]:
    """Run Python in namespaces of its own."""
    program = f'{before} exec "$0" -c "$1"'
    return subprocess.run(
        ["unshare", "--kill-child", *options, "/bin/sh", "-c", program, sys.executable, textwrap.dedent(code)],
        env={**os.environ, "PYTHONPATH": SRC},
        stdin=subprocess.PIPE,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@needs_root
def test_a_pid_that_is_used_again_is_never_the_old_process() -> None:
    done = isolated(REUSE, "--pid", "--fork", "--mount-proc")
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) >= 10


AS_NOBODY = """
    import os, sys
    from pgusher.collect.processes import ProcessSource
    ProcessSource().look([os.getpid()])
    os.setgroups([]); os.setgid(65534); os.setuid(65534)
    facts = ProcessSource().look([1, os.getppid()])
    for process in facts.processes:
        print(process.pid, process.uid, process.user, process.argv[:1] != (), process.cwd, process.netns)
    for gap in facts.gaps:
        print(gap.what, '|', gap.why, '|', gap.opens, '|', gap.count)
"""


@needs_root
def test_nobody_sees_who_it_is_but_not_where_it_is(start: Start) -> None:
    done = isolated(AS_NOBODY, "--pid", "--fork", "--mount-proc", before='"$0" -c "$1"; exit;')
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[0] == "1 0 root True None None"
    assert lines[-1] == (
        "the program file, directory and network namespace of 1 process | permission denied | run pgusher as root | 1"
    )


@needs_root
def test_hidden_processes_are_a_gap(start: Start) -> None:
    hide = 'mount -t proc -o hidepid=2 proc /proc || exit 77; "$0" -c "$1"; exit;'
    done = isolated(AS_NOBODY, "--pid", "--fork", "--mount-proc", before=hide)
    if done.returncode == 77:
        pytest.skip(f"/proc cannot be mounted with hidepid here: {done.stderr.strip()}")
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "1 process | /proc is mounted with hidepid | run pgusher as root | 1"


def test_the_remedy_depends_on_who_asks() -> None:
    assert rights.to_see_processes(1000) == rights.to_read_files(1000) == "run pgusher as root"
    assert "CAP_SYS_PTRACE" in rights.to_see_processes(0)
    assert "CAP_DAC_READ_SEARCH" in rights.to_read_files(0)
