"""Programs that really hang, or only look so: started together, looked at together, gone with the test.

What each must be found to be stands in the program itself: `expect:` and `thread:` in its docstring, `# WAITS` behind
the line where it waits, `# RAISES` behind the one that brought it about.
"""

from __future__ import annotations

import os
import re
import signal
import sys
import tempfile
import time
from collections.abc import Iterable, Mapping

from pgusher.collect.stacks import StackSource
from pgusher.demo.keep import COOKIE, Keeper
from pgusher.model.stacks import ProcessStacks
from pgusher.model.values import dataclass

HERE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "scripts")
_LAUNCH = """
import os, subprocess, sys, time
for path in sys.argv[2:]:
    log = open(os.path.join(sys.argv[1], os.path.basename(path) + ".log"), "wb")
    process = subprocess.Popen([sys.executable, path], stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    print(process.pid, path, flush=True)
time.sleep(1e6)
"""


@dataclass(frozen=True, slots=True)
class Script:
    """One program, and the truth about it."""

    name: str
    path: str
    expect: str
    """The mechanism; "none" for one that does not hang."""
    thread: str
    waits: tuple[int, ...]
    raises: tuple[int, ...]
    needs_server: bool


def scripts() -> list[Script]:
    """All of them, by name."""
    return [_read(name) for name in sorted(os.listdir(HERE)) if name.endswith(".py") and name != "base.py"]


def _read(name: str) -> Script:
    path = os.path.join(HERE, name)
    with open(path, encoding="utf-8") as file:
        text = file.read()
    told = dict(re.findall(r"^(expect|thread): (.+)$", text, re.M))
    lines = text.splitlines()
    marked = {
        mark: tuple(number for number, line in enumerate(lines, 1) if line.endswith(f"# {mark}"))
        for mark in ("WAITS", "RAISES")
    }
    # A session of no use to the hang is left out where there is no server; what is hung on the server cannot be.
    server = any(word in text for word in (".execute(", "new_pool", "table("))
    return Script(name[:-3], path, told["expect"], told["thread"], marked["WAITS"], marked["RAISES"], server)


class Stage:
    """Those programs, running. `close()` ends them all, and so does the death of the tests."""

    def __init__(self, chosen: Iterable[Script], env: Mapping[str, str], python: str = sys.executable) -> None:
        self.scripts = list(chosen)
        self._keeper = Keeper(
            directory_in=tempfile.gettempdir(), prefix="pgusher-hangs-", sweep=True, stop=[(signal.SIGKILL, 10.0)]
        )
        self._log = os.path.join(self._keeper.directory, "log")
        logs = os.path.join(self._keeper.directory, "logs")
        os.mkdir(logs)
        given = {
            "PATH": os.environ.get("PATH", os.defpath),
            "PYTHONPATH": HERE,
            "PYTHONDONTWRITEBYTECODE": "1",
            COOKIE: self._keeper.cookie,
            **env,
        }
        argv = [python, "-c", _LAUNCH, logs, *(script.path for script in self.scripts)]
        self._keeper.start(argv, log=self._log, env=given, cwd="/")
        self.pids = self._wait_for_pids()

    def _wait_for_pids(self) -> dict[str, int]:
        deadline = time.monotonic() + 60
        while True:
            found = []
            if os.path.exists(self._log):
                with open(self._log, encoding="utf-8") as file:
                    found = re.findall(r"^(\d+) (.+)$", file.read(), re.M)
            if len(found) == len(self.scripts):
                return {os.path.basename(path)[:-3]: int(pid) for pid, path in found}
            assert time.monotonic() < deadline, found
            time.sleep(0.05)

    def settle(self, seconds: float = 60, further: float = 1.0) -> None:
        """Wait until each program is at a line that is marked, and `further` seconds."""
        deadline = time.monotonic() + seconds
        while True:
            stacks = self.take()
            late = [script.name for script in self.scripts if not self._is_there(script, stacks)]
            if not late:
                break
            assert time.monotonic() < deadline, f"not at their line: {late}"
        time.sleep(further)  # what the line itself brings about, as a killed worker

    def _is_there(self, script: Script, stacks: Iterable[ProcessStacks]) -> bool:
        pid = self.pids[script.name]
        return any(
            frame.file == script.path and frame.line in script.waits
            for process in stacks
            if pid in (process.pid, process.ppid)
            for thread in process.threads
            for frame in thread.frames
        )

    def take(self) -> tuple[ProcessStacks, ...]:
        """Their stacks, with all the time in the world."""
        return StackSource().take(self.pids.values(), deadline=60)

    def close(self) -> None:
        """End them all."""
        self._keeper.close()
