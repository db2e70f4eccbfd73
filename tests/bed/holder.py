"""A holder: a real program in processes of its own, with what they told about themselves."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from types import TracebackType
from typing import Self

from pgusher.demo.keep import COOKIE, Keeper
from tests.bed import truth as telling
from tests.bed.holders.witness import TRUTH

BED = os.path.dirname(os.path.abspath(__file__))
HANGS = os.path.join(BED, "hangs")
ROOT = os.path.dirname(os.path.dirname(BED))


def program(name: str) -> list[str]:
    """The command line that runs one of tests/bed/holders."""
    return [sys.executable, os.path.join(BED, "holders", f"{name}.py")]


def hanging(name: str) -> str:
    """The path of one of tests/bed/hangs."""
    return os.path.join(HANGS, f"{name}.py")


class Holder:
    """Started by `start()` or a `with` block; ended with all its processes by `stop()`, or by the death of the tests.

    `processes` and `sessions` are how many of each it will tell about: the truth is complete with them. `complete`
    adds what only the server knows, `after` is told what has ended.
    """

    def __init__(
        self,
        argv: Sequence[str],
        *,
        processes: int = 1,
        sessions: int | None = None,
        complete: Callable[[telling.Truth], telling.Truth] | None = None,
        after: Callable[[telling.Truth], None] | None = None,
        env: Mapping[str, str] | None = None,
        cwd: str = "/",
        patience: float = 60.0,
    ) -> None:
        self.argv = list(argv)
        self._processes = processes
        self._sessions = sessions
        self._complete = complete
        self._after = after
        self._more_env = dict(env or {})
        self._cwd = cwd
        self._patience = patience
        self.pid = 0
        """Of the program that was started: the parent of the others."""
        self.truth = telling.Truth((), ())
        self.keeper = Keeper(
            directory_in=_temporary(), prefix="pgusher-bed-", sweep=True, stop=[(signal.SIGKILL, 10.0)]
        )
        """Its parent, with a directory of its own."""
        os.mkdir(self.truth_directory)
        os.chmod(self.truth_directory, 0o1777)  # noqa: S103  # its processes may be other users'

    @property
    def truth_directory(self) -> str:
        """Where its processes tell."""
        return os.path.join(self.keeper.directory, "truth")

    @property
    def env(self) -> dict[str, str]:
        """The environment of its program; a test that starts one by other means (cron) passes this on."""
        return {
            "PATH": os.environ.get("PATH", os.defpath),
            "HOME": self.keeper.directory,  # neither our .pgpass nor our service file is its
            "PYTHONPATH": ROOT,
            "PYTHONDONTWRITEBYTECODE": "1",
            "LANG": "C.UTF-8",
            TRUTH: self.truth_directory,
            COOKIE: self.keeper.cookie,
            **self._more_env,
        }

    def start(self) -> Self:
        """Start it and wait until its truth is complete. Raises AssertionError with its output otherwise."""
        try:
            self.pid = self.keeper.start(
                self.argv, log=os.path.join(self.keeper.directory, "log"), env=self.env, cwd=self._cwd
            )
            self.wait()
        except BaseException:
            self.stop()
            raise
        return self

    def wait(self, processes: int | None = None, sessions: int | None = None) -> telling.Truth:
        """Wait until that many processes and sessions (or as many as the constructor was told) are told of."""
        processes = self._processes if processes is None else processes
        sessions = self._sessions if sessions is None else sessions
        deadline = time.monotonic() + self._patience
        while True:
            running = not self.pid or self.keeper.running()
            told = telling.read(self.truth_directory)
            if len(told.processes) >= processes and (sessions is None or len(told.sessions) >= sessions):
                break
            assert running, f"the holder ended before its truth was complete:\n{self.log()}"
            assert time.monotonic() < deadline, f"told so far: {told}\n{self.log()}"
            time.sleep(0.01)
        assert len(told.processes) == processes, told
        assert sessions is None or len(told.sessions) == sessions, (told, self.log())
        self.truth = told if self._complete is None else self._complete(told)
        return self.truth

    def log(self) -> str:
        """What it has written to its standard output and error."""
        try:
            with open(os.path.join(self.keeper.directory, "log"), encoding="utf-8", errors="replace") as file:
                return file.read()
        except FileNotFoundError:
            return ""

    def kill(self, number: signal.Signals = signal.SIGKILL) -> int | None:
        """End the program alone, by this signal, and wait for it: its children and its truth stay."""
        return self.keeper.stop([(number, 30.0)])

    def stop(self) -> None:
        """End all its processes, and its sessions with them; remove its directory. May be called again."""
        self.keeper.close()
        if self._after is not None:
            self._after(self.truth)
            self._after = None

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


def _temporary() -> str:
    """Memory where it can be had; every user can reach it."""
    return "/dev/shm" if os.access("/dev/shm", os.W_OK) else "/tmp"
