"""Ending processes: all descendants, however they were forked, and never another one."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable

import pytest

from pgusher.demo import keeper, reaper
from pgusher.demo.reaper import Identity
from tests.demo.test_server import eventually

FAMILY = """
import os, sys, time
# A child, a grandchild in a session of its own, a great-grandchild whose parent ends, and one that ignores SIGTERM.
import signal
for generation in range(3):
    if os.fork():
        if generation == 1:
            os._exit(0)
        break
    os.setsid()
else:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    print("ready", flush=True)
time.sleep(600)
"""


def own(pid: int) -> Identity:
    """A process that is there."""
    found = reaper.identity(pid)
    assert found is not None
    return found


@pytest.fixture
def child() -> subprocess.Popen[bytes]:
    return subprocess.Popen(["sleep", "600"])


class TestIdentity:
    def test_a_process_is_its_pid_and_its_start(self, child: subprocess.Popen[bytes]) -> None:
        process = own(child.pid)
        assert reaper.alive(process)
        assert reaper.parent(child.pid) == os.getpid()
        child.kill()
        assert eventually(lambda: reaper.identity(child.pid) is None), "a zombie is no living process"
        child.wait()
        assert not reaper.alive(process)
        assert reaper.parent(child.pid) == 0

    def test_another_one_with_the_same_pid_is_spared(self, child: subprocess.Popen[bytes]) -> None:
        process = own(child.pid)
        assert not reaper.end(Identity(process.pid, process.start - 1))
        assert child.poll() is None
        assert reaper.end(process)
        assert child.wait() == -signal.SIGKILL
        assert not reaper.end(process)


class TestEndAll:
    def test_a_family_ends_however_it_was_forked(self) -> None:
        # In a process of its own: being the one that orphans come to is for good in the tests' process.
        script = (
            "import os, subprocess, sys\n"
            "from pgusher.demo import reaper\n"
            "reaper.adopt()\n"
            f"family = subprocess.Popen([sys.executable, '-c', {FAMILY!r}], stdout=subprocess.PIPE)\n"
            "family.stdout.readline()\n"
            "before = reaper.descendants(os.getpid())\n"
            "ended, left = reaper.end_all(lambda: reaper.descendants(os.getpid()))\n"
            "print(len(before), ended, len(left), sum(map(reaper.alive, before)))\n"
        )
        done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60)
        assert done.stdout.split() == ["3", "3", "0", "0"]

    def test_what_is_spared_stays_with_all_below_it(self) -> None:
        shell = subprocess.Popen(["sh", "-c", "sleep 600 & wait"])
        assert eventually(lambda: len(reaper.descendants(shell.pid)) == 1)
        assert reaper.descendants(os.getpid(), spare=lambda pid: pid == shell.pid) == [
            process for process in reaper.descendants(os.getpid()) if process.pid not in family(shell.pid)
        ]
        assert reaper.end_all(lambda: [own(pid) for pid in family(shell.pid) if reaper.identity(pid)])[1] == []
        shell.wait()

    def test_what_cannot_be_ended_is_told(self, child: subprocess.Popen[bytes]) -> None:
        process = own(child.pid)
        stranger = Identity(process.pid, process.start - 1)
        assert reaper.end_all(lambda: [stranger], seconds=0.05) == (0, [stranger])
        child.kill()
        child.wait()

    def test_marked_ones_are_found_wherever_they_went(self) -> None:
        env = {"PATH": os.defpath, keeper.COOKIE: "cookie-of-this-test"}
        before = subprocess.Popen(["sh", "-c", "setsid sleep 600 & sleep 600"], env=env)
        assert eventually(lambda: len(reaper.marked("cookie-of-this-test")) == 3)
        assert reaper.marked("cookie-of-this-tes") == []
        _, left = reaper.end_all(lambda: reaper.marked("cookie-of-this-test"))
        assert left == []
        before.wait()


def test_a_child_ends_with_its_parent() -> None:
    script = (
        "import os, subprocess, sys, time\n"
        "from pgusher.demo import reaper\n"
        "me = os.getpid()\n"
        "child = subprocess.Popen(['sleep', '600'], preexec_fn=lambda: reaper.die_with(me))\n"
        "print(child.pid, flush=True)\n"
        "time.sleep(600)\n"
    )
    parent = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE)
    assert parent.stdout is not None
    pid = int(parent.stdout.readline())
    process = own(pid)
    parent.kill()
    parent.wait()
    parent.stdout.close()
    assert eventually(lambda: not reaper.alive(process))


def test_a_keeper_is_known_by_its_program(child: subprocess.Popen[bytes]) -> None:
    script = os.path.abspath(keeper.__file__)
    real = subprocess.Popen([sys.executable, "-I", "-S", script], stdin=subprocess.PIPE)
    liar = subprocess.Popen(["sh", "-c", "sleep 600 # keeper.py", "/elsewhere/keeper.py"], start_new_session=True)
    assert eventually(lambda: reaper.is_keeper(real.pid))
    assert not reaper.is_keeper(child.pid)
    assert not reaper.is_keeper(liar.pid)
    os.killpg(liar.pid, signal.SIGKILL)  # the shell may have a child for its command
    child.kill()
    for process in (child, liar):
        process.wait()
    real.communicate()
    assert not reaper.is_keeper(real.pid)


def family(pid: int) -> list[int]:
    """A process and all below it."""
    return [pid, *(process.pid for process in reaper.descendants(pid))]


def test_the_boot_is_known() -> None:
    with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
        assert reaper.boot_id() == file.read().strip()


@pytest.mark.parametrize("look", [reaper.identity, reaper.parent, reaper.is_keeper])
def test_a_process_that_is_gone_is_no_error(look: Callable[[int], object]) -> None:
    process = subprocess.Popen(["true"])
    process.wait()
    assert not look(process.pid)
