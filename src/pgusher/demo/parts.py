"""One staged program: how it is started, what it noted of itself, and what to show when it fails."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pgusher.demo.reaper import die_with
from pgusher.errors import PgusherError

GRAFANA_ACCESS = "grafana.json"
"""Below the staging's directory: where the API of the stand-in for Grafana is, and its token."""


class StagingError(PgusherError):
    """A part of the staging did not come up."""


@dataclass(frozen=True, slots=True)
class Note:
    """What one process of the staging has noted of itself: the truth that an answer is held against."""

    part: str
    pid: int
    sessions: tuple[int, ...]
    """Pids of the server processes of its sessions."""
    facts: Mapping[str, Any]


def read_notes(directory: str, part: str | None = None) -> list[Note]:
    """The notes of all processes, or of those of one part."""
    found = []
    for name in sorted(os.listdir(directory)):
        if not name.endswith(".json"):
            continue
        with open(os.path.join(directory, name), encoding="utf-8") as file:
            facts = json.load(file)
        if part in (None, facts["part"]):
            found.append(Note(facts["part"], facts["pid"], tuple(facts["sessions"]), facts))
    return found


class Part:
    """A program that was started, without a terminal and in a session of its own."""

    def __init__(self, name: str, argv: Sequence[str], *, cwd: str, env: Mapping[str, str], log: str) -> None:
        """Start it; its output goes to the file `log`. Raises StagingError when it cannot be executed."""
        self.name = name
        self.log_path = log
        parent = os.getpid()
        with open(log, "ab") as file:
            try:
                self.process = subprocess.Popen(
                    argv,
                    stdin=subprocess.DEVNULL,
                    stdout=file,
                    stderr=file,
                    cwd=cwd,
                    env=dict(env),
                    start_new_session=True,
                    preexec_fn=lambda: die_with(parent),  # noqa: PLW1509  # no thread is running here
                )
            except OSError as error:
                raise StagingError(f"{name} could not be started: {error.strerror}") from None

    @property
    def log(self) -> str:
        """What it has written so far."""
        with open(self.log_path, encoding="utf-8", errors="backslashreplace") as file:
            return file.read()

    def check(self) -> None:
        """Raises StagingError, with the end of its log, if it has ended."""
        if (code := self.process.poll()) is not None:
            raise StagingError(f"{self.name} has ended with exit code {code}", detail=self.log[-2000:].strip() or None)


def switches(pid: int) -> int:
    """How often the main thread has gone to sleep so far (proc(5)): a thread that hangs does not wake to do it again.

    Raises StagingError when the process is gone.
    """
    try:
        with open(f"/proc/{pid}/task/{pid}/status", encoding="ascii", errors="replace") as file:
            for line in file:
                if line.startswith("voluntary_ctxt_switches:"):
                    return int(line.split()[1])
    except OSError as error:
        raise StagingError(f"process {pid} should hang, but is gone", detail=error.strerror) from None
    raise StagingError(f"the kernel tells no context switches of process {pid}")
