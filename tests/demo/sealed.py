"""A world of its own for a demo: its own processes, network, /dev/shm and /var/tmp; so what is left is told exactly.

`sealed()` runs this file as pid 1 of a new pid namespace, in new mount, IPC and network namespaces; an ordinary user
needs a new user namespace for that, in which it stays who it is. There it runs one scenario of tests.demo.scenarios, as
ourselves or, from root, as nobody, and prints what the scenario returns as JSON.
"""

from __future__ import annotations

import ctypes
import fcntl
import importlib
import json
import os
import pty
import pwd
import re
import select
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pgusher.demo.reaper import parent

ROOT = Path(__file__).resolve().parents[2]
PLACES = ("/dev/shm", "/var/tmp")
DEMO = (sys.executable, "-m", "pgusher", "demo")
LIMIT = 90.0
"""Seconds that anything may take before the test fails; far more than it takes."""


def unshare() -> list[str]:
    """The command that starts another in namespaces of its own."""
    names = ("mount", "pid", "ipc", "net", "fork", "kill-child", "mount-proc", "propagation=private")
    command = ["unshare", *(f"--{name}" for name in names)]
    return command if os.geteuid() == 0 else [*command, "--user", "--map-current-user", "--keep-caps"]


def sealed(scenario: str, user: str | None = None, **arguments: object) -> dict[str, Any]:
    """Run a scenario in a world of its own, as ourselves or as another user; what it returned."""
    order = json.dumps({"scenario": scenario, "user": user, "arguments": arguments})
    done = subprocess.run(
        [*unshare(), sys.executable, "-m", "tests.demo.sealed", order],
        cwd=ROOT,
        env={**clean_environment(), "PYTHONPATH": f"{ROOT}/src:{ROOT}"},
        capture_output=True,
        text=True,
        check=False,
        timeout=2 * LIMIT,
    )
    assert done.returncode == 0, done.stderr[-4000:]
    answer: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return answer


def clean_environment() -> dict[str, str]:
    """Ours without what would lead a demo to the tests' own servers and caches."""
    return {name: value for name, value in os.environ.items() if not name.startswith(("PG", "PGUSHER", "TMPDIR"))}


@dataclass
class Run:
    """One `pgusher demo` that was started."""

    process: subprocess.Popen[bytes]
    terminal: int | None = None
    err: bytes = b""
    out: bytes = b""
    _open: list[int] = field(default_factory=list)

    def read(self, seconds: float) -> None:
        """Take what it says, for at most that long."""
        for stream in select.select(self._open, (), (), seconds)[0]:
            try:
                data = os.read(stream, 65536)
            except OSError:  # nobody has the other end of the pseudo-terminal open: not yet, or no more
                if self.process.poll() is None:
                    time.sleep(0.01)
                    continue
                data = b""
            if not data:
                self._open.remove(stream)
            elif self.process.stdout is not None and stream == self.process.stdout.fileno():
                self.out += data
            else:
                self.err += data

    def until(self, pattern: str) -> None:
        """Until it has said something that matches, or has ended."""
        deadline = time.monotonic() + LIMIT
        while re.search(pattern, self.err.decode("utf-8", "replace")) is None and self._open:
            assert time.monotonic() < deadline, f"no {pattern!r} in: {self.err!r}"
            self.read(0.2)

    def wait(self) -> int:
        """Its exit code, once it has ended."""
        deadline = time.monotonic() + LIMIT
        while self.process.poll() is None or self._open:
            assert time.monotonic() < deadline, f"it does not end: {self.err!r}"
            if self._open:
                self.read(0.1)
            else:
                time.sleep(0.02)
        return self.process.returncode

    @property
    def host(self) -> int:
        """The pid of the process that keeps its staging."""
        deadline = time.monotonic() + LIMIT
        while time.monotonic() < deadline:
            for pid in pids():
                # The first of that name forks and ends: what is kept has no parent but us, pid 1.
                if b"pgusher.demo.host" in cmdline(pid).split(b"\0") and parent(pid) == os.getpid():
                    return pid
            time.sleep(0.005)
        raise AssertionError("it has started no keeping process")


class World:
    """What a scenario works with."""

    def __init__(self, user: str | None) -> None:
        self.account = pwd.getpwnam(user) if user is not None else pwd.getpwuid(os.getuid())
        self.home = "/var/tmp/home"
        os.mkdir(self.home, 0o700)
        if user is not None:
            os.chown(self.home, self.account.pw_uid, self.account.pw_gid)
        self.env = {**clean_environment(), "HOME": self.home, "TMPDIR": "/var/tmp", "TERM": "xterm"}
        self.before = self.look()

    def start(self, *words: str, terminal: bool = False) -> Run:
        """Start `pgusher demo`, on a pseudo-terminal that is its controlling one or on pipes."""
        options: dict[str, Any] = {"env": self.env, "cwd": "/", "start_new_session": True, **self.identity()}
        argv = [*DEMO, *words]
        if not terminal:
            process = subprocess.Popen(
                argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, **options
            )
            assert process.stdout is not None
            assert process.stderr is not None
            return Run(process, _open=[process.stdout.fileno(), process.stderr.fileno()])
        ours, theirs = pty.openpty()
        if self.identity():
            os.fchown(theirs, self.account.pw_uid, -1)
        # sh opens the terminal itself: the first terminal that the leader of a session opens becomes its own.
        name = os.ttyname(theirs)
        process = subprocess.Popen(["/bin/sh", "-c", 'exec "$@" <> "$0" >&0 2>&0', name, *argv], **options)
        os.close(theirs)
        return Run(process, terminal=ours, _open=[ours])

    def pgusher(self, *words: str, cwd: str = "/") -> subprocess.CompletedProcess[str]:
        """Run `pgusher` to its end."""
        return self._run([sys.executable, "-m", "pgusher", *words], cwd)

    def _run(self, argv: Sequence[str], cwd: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            argv, env=self.env, cwd=cwd, capture_output=True, text=True, check=False, timeout=LIMIT, **self.identity()
        )

    def demo(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Run `pgusher demo` to its end."""
        return self._run([*DEMO, *words], "/")

    def identity(self) -> dict[str, Any]:
        """Whom to run as."""
        if self.account.pw_uid == os.getuid():
            return {}
        return {"user": self.account.pw_uid, "group": self.account.pw_gid, "extra_groups": []}

    def look(self) -> dict[str, list[str]]:
        """Every process but ourselves, every file in the places for temporary ones, mounts and shared memory."""
        processes = [f"{pid} {state(pid)} {words(pid)}" for pid in pids() if pid != os.getpid()]
        files = [
            os.path.join(base, name)
            for place in PLACES
            for base, below, here in os.walk(place)
            for name in below + here
        ]
        return {
            "processes": processes,
            "files": sorted(files),
            "mounts": Path("/proc/self/mountinfo").read_text().splitlines(),
            "memory": Path("/proc/sysvipc/shm").read_text().splitlines()[1:],
            "tmp": sorted(name for name in os.listdir("/tmp") if name.startswith("pgusher-demo")),
        }

    def left(self, seconds: float = 8.0) -> dict[str, list[str]]:
        """What is there that was not before, after at most that many seconds."""
        deadline = time.monotonic() + seconds
        while True:
            reap()
            now = self.look()
            extra = {kind: [one for one in now[kind] if one not in self.before[kind]] for kind in now}
            extra = {kind: found for kind, found in extra.items() if found}
            if not extra or time.monotonic() > deadline:
                return extra
            time.sleep(0.02)


def pids() -> list[int]:
    """All processes of this world."""
    return [int(name) for name in os.listdir("/proc") if name.isdecimal()]


def cmdline(pid: int) -> bytes:
    """Its command line."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


def words(pid: int) -> str:
    """The same for a person."""
    return cmdline(pid).rstrip(b"\0").replace(b"\0", b" ").decode("utf-8", "replace")


def state(pid: int) -> str:
    """Its state, a letter."""
    try:
        return Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()[0]
    except OSError:
        return "gone"


def reap() -> None:
    """Orphans come to us: we are pid 1."""
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        pass


def raise_loopback() -> None:
    """A new network namespace has its loopback interface down."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        # struct ifreq with IFF_UP | IFF_RUNNING (linux/if.h), for SIOCSIFFLAGS (linux/sockios.h).
        fcntl.ioctl(any_socket, 0x8914, struct.pack("16sh14x", b"lo", 0x41))


def drop_capabilities() -> None:
    """What we start as an ordinary user is to be one: the ambient capabilities would be inherited by it."""
    ctypes.CDLL(None).prctl(47, 4, 0, 0, 0)  # PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL (linux/prctl.h)


def main(order: dict[str, Any]) -> None:
    """Mount, run, print."""
    for place in PLACES:
        subprocess.run(["mount", "-t", "tmpfs", "-o", "mode=1777", "tmpfs", place], check=True)
    raise_loopback()
    drop_capabilities()
    world = World(order["user"])
    scenarios = importlib.import_module("tests.demo.scenarios")
    scenario: Callable[..., dict[str, Any]] = getattr(scenarios, order["scenario"])
    answer = scenario(world, **order["arguments"])
    sys.stdout.write(json.dumps(answer) + "\n")


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
