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
        words = [sys.executable, "-m", "pgusher", "run", "--name", name, *options, "--", *argv]
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
        path = self.lock(name)
        found = [int(pid) for pid in os.listdir("/proc") if pid.isdecimal()]
        found = [pid for pid in found if any(lock == path for _, lock in cookie_of(pid))]
        return [pid for pid in found if (stat := read_stat(pid)) and stat.state not in "ZX"]

    def close(self) -> None:
        for guard in self.guards:
            guard.kill()
            guard.wait()
            for pipe in (guard.stdout, guard.stderr):
                if pipe:
                    pipe.close()
        names = {path.stem for path in Path(self.state).glob("runs-*/*.lock")}
        for name in names:
            for pid in self.of(name):
                os.kill(pid, signal.SIGKILL)


def until(truth: object, seconds: float = 30.0) -> None:
    """Wait for what is bound to come."""
    deadline = time.monotonic() + seconds
    while not truth():  # type: ignore[operator]
        assert time.monotonic() < deadline, "it did not come"
        time.sleep(0.02)
