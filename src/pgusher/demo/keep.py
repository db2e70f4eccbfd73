"""Our side of the keeper: start programs so that nothing of them outlives this process."""

from __future__ import annotations

import atexit
import contextlib
import json
import os
import secrets
import select
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Any, Self

from pgusher.demo.account import Account
from pgusher.demo.keeper import COOKIE
from pgusher.errors import PgusherError

__all__ = ["COOKIE", "Keeper", "LaunchError", "StopSteps"]

StopSteps = Sequence[tuple[signal.Signals, float]]
"""Signals to send in turn, and the seconds to wait after each for the end of the program."""

_SCRIPT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "keeper.py")
_ANSWER_SECONDS = 60.0


class LaunchError(PgusherError):
    """A program of the demo or the tests could not be started."""


class Keeper:
    """A keeper process with a temporary directory and at most one program at a time.

    It cleans up on `close()`, at the exit of the interpreter, and by itself when this process has died in any way.
    """

    def __init__(
        self,
        *,
        directory_in: str | None = None,
        prefix: str = "pgusher-",
        mode: int = 0o755,
        stop: StopSteps = ((signal.SIGTERM, 5.0), (signal.SIGKILL, 5.0)),
        sweep: bool = False,
    ) -> None:
        """Start it. `sweep`: at the end, end also every process that carries the cookie in its environment.

        Raises LaunchError when the directory cannot be made.
        """
        self.cookie = secrets.token_hex(16)
        self._owner = os.getpid()
        self._lock = threading.Lock()
        self._stop = [(int(number), seconds) for number, seconds in stop]
        self._buffer = b""
        self._process = subprocess.Popen(
            [sys.executable, "-I", "-S", _SCRIPT],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,  # Ctrl-C is for us, not for the keeper
            cwd="/",
            bufsize=0,
        )
        if self._process.stdin is None or self._process.stdout is None:
            raise LaunchError("could not start the keeper process")  # cannot be: both are pipes
        self._stdin, self._stdout = self._process.stdin, self._process.stdout
        config = {
            "parent": self._owner,
            "directory_in": directory_in,
            "prefix": prefix,
            "mode": mode,
            "cookie": self.cookie,
            "stop": self._stop,
            "sweep": sweep,
        }
        atexit.register(self.close)
        try:
            self.directory: str = self._ask(config)["directory"] or ""
        except BaseException:
            self.close()
            raise

    @property
    def pid(self) -> int:
        """The keeper's own process id: the parent of the program."""
        return self._process.pid

    def start(
        self,
        argv: Sequence[str],
        *,
        log: str,
        env: Mapping[str, str],
        account: Account | None = None,
        cwd: str = "/",
        umask: int = 0o022,
        death_signal: int = signal.SIGKILL,
    ) -> int:
        """Start a program in a session of its own, with its output appended to `log`; its process id.

        `account`: whom to run as (needs root). `death_signal` is what the kernel sends to it, but not to its
        children, should the keeper itself be killed; 0 for none. Raises LaunchError when it cannot be executed.
        """
        answer = self._ask(
            {
                "do": "start",
                "argv": list(argv),
                "log": log,
                "env": dict(env),
                "account": None if account is None else (account.uid, account.gid, account.groups),
                "cwd": cwd,
                "umask": umask,
                "death_signal": int(death_signal),
            }
        )
        return int(answer["pid"])

    def stop(self, steps: StopSteps | None = None) -> int | None:
        """Stop the program and keep the directory; its exit code, negative for a signal, None if it never ran."""
        chosen = self._stop if steps is None else [(int(number), seconds) for number, seconds in steps]
        status = self._ask({"do": "stop", "steps": chosen}, wait=sum(s for _, s in chosen) + _ANSWER_SECONDS)["status"]
        return None if status is None else int(status)

    def running(self) -> bool:
        """Whether the program runs."""
        return bool(self._ask({"do": "report"})["running"])

    def close(self) -> None:
        """Stop, sweep, remove the directory, and wait for it. May be called again; no-op in a forked child."""
        if os.getpid() != self._owner:
            return
        atexit.unregister(self.close)
        with self._lock:
            if self._stdout.closed:
                return
            # In words: a child that we have forked holds the pipe open, so that the end of file may never come.
            with contextlib.suppress(OSError, ValueError):
                self._stdin.write(b'{"do": "end"}\n')
            self._stdin.close()
            try:
                # Popen.wait() alone would look in steps of up to 50 ms: the end of its output comes at once.
                seconds = sum(seconds for _, seconds in self._stop) + _ANSWER_SECONDS
                poll = select.poll()
                poll.register(self._stdout, select.POLLIN)
                while poll.poll(seconds * 1000) and os.read(self._stdout.fileno(), 65536):
                    pass
                self._process.wait(seconds)
            finally:
                self._stdout.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _ask(self, order: Mapping[str, object], wait: float = _ANSWER_SECONDS) -> dict[str, Any]:
        """One order, one answer."""
        with self._lock:
            try:
                self._stdin.write(json.dumps(order).encode() + b"\n")
            except (OSError, ValueError) as error:
                raise LaunchError("the keeper process is gone", detail=str(error)) from None
            deadline = time.monotonic() + wait
            poll = select.poll()
            poll.register(self._stdout, select.POLLIN)
            while b"\n" not in self._buffer:
                if not poll.poll(max(0.0, deadline - time.monotonic()) * 1000):
                    raise LaunchError(f"the keeper process gave no answer in {wait:.0f} s")
                data = os.read(self._stdout.fileno(), 65536)
                if not data:
                    raise LaunchError("the keeper process is gone")
                self._buffer += data
            line, _, self._buffer = self._buffer.partition(b"\n")
        answer: dict[str, Any] = json.loads(line)
        if answer.get("error"):
            words = order.get("argv")
            name = words[0] if isinstance(words, list) else "the keeper"
            raise LaunchError(f"could not start {name}", detail=str(answer["error"]))
        return answer
