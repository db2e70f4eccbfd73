"""The staging's own book: each program notes which sessions it holds, so that an answer can be held against it.

The programs of a real incident have nothing like it; it is the one thing in these scripts that is there for the demo.
"""

import json
import os
import threading
from typing import Any

DIRECTORY = "PGUSHER_DEMO_TRUTH"
"""Environment variable: the directory of the book. Nothing is noted without it."""


class Truth:
    """What one process holds, in a file of its own: <part>-<pid>.json, rewritten as a whole at each change."""

    def __init__(self, part: str) -> None:
        """`part`: the name of the program in the story."""
        self._part = part
        self._lock = threading.Lock()
        self._facts: dict[str, Any] = {"part": part, "pid": os.getpid(), "sessions": []}

    def session(self, connection: Any) -> None:
        """Note a new connection by the pid of its server process. Fits as `configure` of a psycopg pool."""
        with self._lock:
            self._facts["sessions"].append(connection.info.backend_pid)
            self._write()

    def note(self, **facts: Any) -> None:
        """Note anything else."""
        with self._lock:
            self._facts.update(facts)
            self._write()

    def _write(self) -> None:
        directory = os.environ.get(DIRECTORY)
        if directory is None:
            return
        path = os.path.join(directory, f"{self._part}-{os.getpid()}")
        with open(path + ".new", "w", encoding="utf-8") as file:
            json.dump(self._facts, file)
        os.replace(path + ".new", path + ".json")  # a reader never sees half of it
