"""pgusher on the staging, typed as a person would: each command is shown, then run."""

from __future__ import annotations

import json
import os
import shlex
import sys
import tempfile
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from pgusher.app.free_store import PlanStore
from pgusher.demo import reaper
from pgusher.demo.director import Director
from pgusher.demo.parts import read_notes

if TYPE_CHECKING:
    from pgusher.demo.command import Narrator


class Pgusher:
    """The command, started where no configuration but an empty one is found."""

    def __init__(self, director: Director, narrator: Narrator, target: Sequence[str]) -> None:
        self._director = director
        self._narrator = narrator
        self._target = tuple(target)
        state = os.path.join(director.directory, "state")
        self.plans = PlanStore(os.path.join(state, "plans"))
        # The settings of the person's own PostgreSQL would lead to another server.
        own = {name: value for name, value in os.environ.items() if not name.startswith(("PG", "PGUSHER"))}
        if "PYTHONPATH" in own:  # it may be relative to where we are
            own["PYTHONPATH"] = os.pathsep.join(map(os.path.abspath, own["PYTHONPATH"].split(os.pathsep)))
        # Its plans, its log and what processes share go with the staging.
        self._env = own | {"PGUSHER_STATE": state, "PGUSHER_SHARED": os.path.join(director.directory, "shared")}

    def show(self, *words: str, cwd: str | None = None, more: Mapping[str, str] | None = None) -> int:
        """Run it as a person would type it, below a line that shows what is typed; its exit code."""
        self._narrator.plain()
        target = () if words[:1] in {("run",), ("jobs",)} else self._target
        self._narrator.plain(f"$ {shlex.join(['pgusher', *words, *target])}")
        argv = [sys.executable, "-m", "pgusher", *words, *target]
        return self._director.run(argv, self._env | dict(more or {}), cwd or self._director.directory)

    def plan_and_apply(self, *words: str) -> None:
        """Have it plan, and do all that the plan has: what is unsafe by its name."""
        before = set(self.plans.names())
        self.show(*words)
        for name in set(self.plans.names()) - before:
            plan = self.plans.load(name)
            unsafe = ",".join(dict.fromkeys(step.holder for step in plan.unsafe if step.holder is not None))
            self.show("free", "--apply", name, *(("--unsafe", "--confirm", unsafe) if unsafe else ()))

    def run(self, words: Sequence[str], out: int | None = None) -> int:
        """Run it in the foreground; its exit code."""
        argv = [sys.executable, "-m", "pgusher", *words, *self._target]
        return self._director.run(argv, self._env, self._director.directory, out)

    def holder_of(self, pid: int) -> str | None:
        """The name that pgusher itself gives to the holder that this process belongs to; None if it gives none."""
        with tempfile.TemporaryFile(dir=self._director.directory) as file:
            self.run(["--json"], file.fileno())
            file.seek(0)
            try:
                return find_holder(json.load(file), pid)
            except ValueError:
                return None


def find_holder(data: Any, pid: int) -> str | None:
    """The name of the object with that process among its processes, wherever it is in the answer."""
    if isinstance(data, dict):
        name, processes = data.get("name"), data.get("processes")
        if isinstance(name, str) and isinstance(processes, list) and pid in processes:
            return name
    inner = data.values() if isinstance(data, dict) else data if isinstance(data, list) else ()
    return next((name for value in inner if (name := find_holder(value, pid)) is not None), None)


def one_of(directory: str, name: str = "version_history") -> int:
    """The pid of a process of that part of the staging: of one run of a cron job."""
    return read_notes(os.path.join(directory, "truth"), name)[0].pid


def target_of(port: int) -> list[str]:
    """What has to be added to the command: nothing, unless other servers run on this host."""
    postmasters = 0
    comms = {pid: _comm(pid) for pid in reaper.all_processes()}
    for pid, comm in comms.items():
        if comm == "postgres":
            postmasters += comms.get(reaper.parent(pid), "") != "postgres"
    return ["--port", str(port)] if postmasters > 1 else []


def _comm(pid: int) -> str:
    try:
        with open(f"/proc/{pid}/comm", encoding="utf-8", errors="replace") as file:
            return file.read().strip()
    except OSError:
        return ""
