"""Runs under the real guard, several at once, and what is left of them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from pgusher.guard.kernel import cookie_of, read_stat

SHAPES = {
    "sleeping": "exec sleep 300",
    "ignoring": "trap '' TERM HUP INT; while :; do sleep 300; done",
    "child": "sleep 300 & wait",
    "ignoring child": "(trap '' TERM HUP INT; while :; do sleep 300; done) & wait",
    "daemon": "(setsid sh -c 'trap \"\" TERM HUP INT; while :; do sleep 300; done' >/dev/null 2>&1 &) ; sleep 300",
}
PYTHON = {
    "sleeping": "import time; print(1, flush=True); time.sleep(300)",
    "ignoring": "import time, signal\nfor n in 1, 2, 15: signal.signal(n, 1)\nprint(1, flush=True); time.sleep(300)",
    "child": "import subprocess; c = subprocess.Popen(['sleep', '300']); print(1, flush=True); c.wait()",
    "ignoring child": (
        "import os, time, signal\nif os.fork() == 0:\n    for n in 1, 2, 15: signal.signal(n, 1)\n    time.sleep(300)\n"
        "print(1, flush=True); time.sleep(300)"
    ),
    "daemon": (
        "import os, time, signal\nif os.fork() == 0:\n    os.setsid()\n    if os.fork(): os._exit(0)\n"
        "    for n in 1, 2, 15: signal.signal(n, 1)\n    time.sleep(300)\nprint(1, flush=True); time.sleep(300)"
    ),
}


class Bench:
    """A state of its own, and the guards started in it."""

    def __init__(self, path: Path) -> None:
        self.state = str(path)
        self.environ = {**os.environ, "PGUSHER_STATE": self.state}
        self.guards: list[subprocess.Popen[bytes]] = []

    def start(self, name: str, argv: list[str], *options: str, **more: object) -> subprocess.Popen[bytes]:
        named = ["--name", name] if name else []
        words = [sys.executable, "-m", "pgusher", "run", *named, *options, "--", *argv]
        known = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "stdin": subprocess.DEVNULL}
        guard: subprocess.Popen[bytes] = subprocess.Popen(words, env=self.environ, **(known | more))  # type: ignore[call-overload]
        self.guards.append(guard)
        return guard

    def run(self, name: str, argv: list[str], *options: str) -> tuple[int, str, str]:
        guard = self.start(name, argv, *options)
        out, err = guard.communicate(timeout=60)
        return guard.returncode, out.decode(), err.decode()

    def lock(self, name: str) -> str:
        return f"{self.state}/runs-{os.geteuid()}/{name}.lock"

    def of(self, name: str) -> list[int]:
        """The living processes that were started in a run of that job."""
        return self.all().get(name, [])

    def all(self) -> dict[str, list[int]]:
        """Those of all jobs, by one look at everything: the environment of each process of the host is read."""
        found: dict[str, list[int]] = {}
        for pid in map(int, filter(str.isdecimal, os.listdir("/proc"))):
            for _, lock in cookie_of(pid):
                place, _, base = lock.rpartition("/")
                if place.startswith(self.state) and (stat := read_stat(pid)) and stat.state not in "ZX":
                    found.setdefault(base.removesuffix(".lock"), []).append(pid)
        return found

    def close(self) -> None:
        for guard in self.guards:
            guard.kill()
            guard.wait()
            for pipe in (guard.stdout, guard.stderr):
                if pipe:
                    pipe.close()
        for pids in self.all().values():
            for pid in pids:
                os.kill(pid, signal.SIGKILL)


def until(truth: object, seconds: float = 30.0) -> None:
    """Wait for what is bound to come."""
    deadline = time.monotonic() + seconds
    while not truth():  # type: ignore[operator]
        assert time.monotonic() < deadline, "it did not come"
        time.sleep(0.05)
