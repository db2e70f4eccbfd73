"""A terminal for programs that are measured: it answers what they ask, as a real one does."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import select
import signal
import struct
import termios
import time
from collections.abc import Sequence

ASKED, ANSWER = b"\x1b[6n", b"\x1b[1;1R"
"""Where is the cursor? pg_activity asks, and waits 5 s twice for a terminal that does not answer."""


class Terminal:
    """One program on a terminal of its own."""

    def __init__(self, argv: Sequence[str], rows: int = 60, columns: int = 200) -> None:
        """Starts the program."""
        self.pid, self._fd = pty.fork()
        if self.pid == 0:
            os.environ["TERM"] = "xterm"
            os.execv(argv[0], list(argv))  # noqa: S606 - no shell is wanted
        fcntl.ioctl(self._fd, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        self._tail = b""

    def read(self, seconds: float) -> bytes:
        """What the program writes next, at most so many seconds from now; nothing when nothing came."""
        if not select.select([self._fd], (), (), seconds)[0]:
            return b""
        said = os.read(self._fd, 65536)
        asked = (self._tail + said).count(ASKED)
        self._tail = said[-len(ASKED) + 1 :]
        os.write(self._fd, ANSWER * asked)
        return said

    def wait_for(self, text: bytes, seconds: float = 20.0) -> None:
        """Until the text is on the screen. Raises RuntimeError when it does not come."""
        seen, end = b"", time.monotonic() + seconds
        while text not in seen:
            said = self.read(max(0.0, end - time.monotonic()))
            if not said:
                raise RuntimeError(f"no {text.decode()} within {seconds:g} s")
            seen += said

    def idle(self, seconds: float) -> None:
        """Read on for so many seconds, as whoever watches does."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            self.read(left)

    def close(self) -> None:
        """End the program."""
        os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)
        with contextlib.suppress(OSError):
            os.close(self._fd)
