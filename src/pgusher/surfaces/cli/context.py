"""What a command works with: the streams, the clock and the use cases. Tests give their own."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Protocol

from pgusher.surfaces.cli.output import Output, real
from pgusher.surfaces.render.advice import quote

if TYPE_CHECKING:
    from pgusher.app.config import Config
    from pgusher.app.look import Look
    from pgusher.app.request import Request
    from pgusher.surfaces.render.doctor import Check


class Looks(Protocol):
    """What looks at servers, and holds one connection between two looks."""

    def look(self) -> Look:
        """One look. Raises UnreachableError when nothing at all could be seen."""

    def close(self) -> None:
        """Gives the connection back."""


class App(Protocol):
    """The use cases, as `pgusher.app` has them."""

    def config(self, path: str | None) -> Config:
        """The configuration. Raises ConfigError."""

    def looker(self, request: Request) -> Looks:
        """What will look."""

    def examine(self, request: Request) -> tuple[Check, ...]:
        """What pgusher can see here."""

    def save(self, path: str, look: Look) -> None:
        """Writes a snapshot file. Raises PgusherError."""

    def read(self, path: str) -> Look:
        """Reads one. Raises SnapshotError."""


class RealApp:
    """`pgusher.app`, each part imported when it is needed."""

    def config(self, path: str | None) -> Config:
        """As App."""
        from pgusher.app.config import load

        return load(path)

    def looker(self, request: Request) -> Looks:
        """As App."""
        from pgusher.app.look import Looker

        return Looker(request)

    def examine(self, request: Request) -> tuple[Check, ...]:
        """As App."""
        from pgusher.app.doctor import examine

        return examine(request)

    def save(self, path: str, look: Look) -> None:
        """As App."""
        from pgusher.app.store import save

        save(path, look)

    def read(self, path: str) -> Look:
        """As App."""
        from pgusher.app.store import read

        return read(path)


class Context:
    """One run of the command line."""

    def __init__(
        self,
        app: App | None = None,
        streams: tuple[Output, Output] | None = None,
        environ: Mapping[str, str] | None = None,
        monotonic: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
        program: str | None = None,
    ) -> None:
        self.environ = os.environ if environ is None else environ
        self.out, self.err = streams or real(self.environ)
        self.app: App = app or RealApp()
        self.program = program or _program(sys.argv[0])
        """How root calls this very pgusher: a virtual environment's is not where sudo looks."""
        self.monotonic = monotonic
        self.sleep = sleep

    def narrate(self, text: str) -> None:
        """One line on standard error, harmless; lost if nobody listens there."""
        screen = self.err.screen("never")
        self.err.write("".join(screen.text(line) + "\n" for line in text.split("\n")))


_SECURE = {"/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"}
"""Where sudo looks for programs (secure_path, as Debian and Ubuntu set it)."""


def _program(argv0: str) -> str:
    """The words that start this pgusher from anywhere."""
    if os.path.basename(argv0) == "__main__.py":
        return f"{quote(sys.executable)} -m pgusher"
    found = os.path.isabs(argv0) and os.path.dirname(argv0) not in _SECURE
    return quote(argv0) if found else "pgusher"
