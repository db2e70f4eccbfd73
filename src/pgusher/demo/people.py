"""Two people at their terminals: each a real psql on a pseudo-terminal of its own."""

from __future__ import annotations

import fcntl
import os
import re
import subprocess
import termios
from collections.abc import Mapping, Sequence

from pgusher.demo.reaper import die_with

# %p is the pid of the server process, %x shows * in a transaction: the prompt alone tells how far it is.
PROMPT = "%n@%/[%p]%x=> "


class Person:
    """Somebody who has typed something into psql and has gone for lunch."""

    def __init__(
        self, psql: str, role: str, database: str, environment: Mapping[str, str], typed: Sequence[str]
    ) -> None:
        """Sit down: psql starts, and what is typed waits in the terminal until psql reads it."""
        self.role = role
        self.typed = tuple(typed)
        self._screen = b""
        self._master, terminal = os.openpty()
        parent = os.getpid()

        def prepare() -> None:
            die_with(parent)
            fcntl.ioctl(0, termios.TIOCSCTTY, 0)

        try:
            # No psqlrc of the person who runs the demo, no line editing, and no pager, which would wait for a key.
            self.process = subprocess.Popen(
                [psql, "-X", "-n", "-q", "-v", f"PROMPT1={PROMPT}", "-P", "pager=off", "-d", database],
                stdin=terminal,
                stdout=terminal,
                stderr=terminal,
                env={**environment, "TERM": "dumb"},
                cwd="/",
                start_new_session=True,
                preexec_fn=prepare,  # noqa: PLW1509  # no thread is running here
            )
        finally:
            os.close(terminal)
        os.set_blocking(self._master, False)
        os.write(self._master, "".join(f"{line}\n" for line in typed).encode())

    @property
    def screen(self) -> str:
        """What the terminal has shown so far."""
        try:
            while data := os.read(self._master, 65536):
                self._screen += data
        except OSError:  # nothing more now, or psql has ended
            pass
        return self._screen.decode("utf-8", "replace").replace("\r", "")

    @property
    def session(self) -> int | None:
        """The pid of the server process, once psql has carried everything out and waits for the next line."""
        prompts = re.findall(rf"{self.role}@\w+\[(\d+)\](\*?)=> ", self.screen)
        # One prompt for each line that was read, and the one at which it waits.
        return int(prompts[-1][0]) if len(prompts) > len(self.typed) else None

    def leave(self) -> None:
        """The terminal is closed, and psql ends with it."""
        os.close(self._master)
        self.process.wait()

    @property
    def in_transaction(self) -> bool:
        """Whether the last prompt says so."""
        return self.screen.rstrip().endswith("*=>")
