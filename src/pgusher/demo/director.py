"""The command's side of a staging: starts the process that keeps it, hears what it tells, and sees to its end.

However this process ends, the staging does too: the keeping process ends it when its input ends, as it does when this
process ends or is killed. When the keeping process is killed instead, the staging is ended from here.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from types import FrameType
from typing import Any

from pgusher.demo import reaper
from pgusher.demo.parts import StagingError
from pgusher.demo.record import Record, read, records, stop

PATIENCE = 45.0
"""Seconds that a command may take to which the story leads."""

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Interrupted(Exception):  # noqa: N818  # no error: somebody wants to leave
    """A signal asked for the end; its number."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


class Director:
    """One staging, from here. Use as a context manager: its end is the end of the staging, unless it is kept."""

    def __init__(self) -> None:
        """Start the keeping process. Signals are taken over until the end."""
        self.directory = ""
        self.ended: dict[str, Any] | None = None
        self._cookie = ""
        self._interrupted = 0
        self._buffer = b""
        self._kept = False
        self._wake, wake = os.pipe()
        os.set_blocking(wake, False)
        self._wakeup_before = signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
        self._wake_end = wake
        # Blocked during the start: no signal may come between the process and our knowing of it.
        signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
        self._before = {number: signal.signal(number, self._note) for number in SIGNALS}
        starter = subprocess.Popen(
            [sys.executable, "-m", "pgusher.demo.host"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,  # Ctrl-C is for us
        )
        if starter.stdin is None or starter.stdout is None:
            raise StagingError("the keeping process could not be started")  # cannot be: both are pipes
        self._stdin, self._stdout = starter.stdin, starter.stdout
        starter.wait()  # it forks, so that what it keeps does not descend from our terminal
        signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)

    def _note(self, number: int, _frame: FrameType | None) -> None:
        self._interrupted = number

    def next(self, seconds: float | None = None) -> dict[str, Any] | None:
        """The next thing it tells; None when it has ended, or after that many seconds.

        Raises Interrupted on a signal.
        """
        stdout = self._stdout.fileno()
        deadline = None if seconds is None else time.monotonic() + seconds
        while True:
            if self._interrupted:
                raise Interrupted(self._interrupted)
            line, found, rest = self._buffer.partition(b"\n")
            if found:
                self._buffer = rest
                event: dict[str, Any] = json.loads(line)
                if event["event"] == "began":
                    self.directory, self._cookie = event["directory"], event["cookie"]
                return event
            left = None if deadline is None else max(0.0, deadline - time.monotonic())
            ready = select.select([stdout, self._wake], (), (), left)[0]
            if not ready:
                return None
            if stdout in ready:
                if not (data := os.read(stdout, 65536)):
                    return None
                self._buffer += data

    def run(self, argv: Sequence[str], env: Mapping[str, str], cwd: str, out: int | None = None) -> int:
        """Run a command in the foreground, with our own output or into `out`; its exit code.

        Raises Interrupted on a signal, and StagingError when it takes longer than `PATIENCE`.
        """
        parent = os.getpid()
        command = subprocess.Popen(
            argv,
            env=dict(env),
            cwd=cwd,
            stdout=out,
            preexec_fn=lambda: reaper.die_with(parent),  # noqa: PLW1509  # no thread is running here
        )
        handle = os.pidfd_open(command.pid)
        try:
            ended = select.select([handle, self._wake], (), (), PATIENCE)[0]
            if self._interrupted:
                raise Interrupted(self._interrupted)
            if not ended:
                raise StagingError(f"{' '.join(argv[2:])} gave no answer in {PATIENCE:g} s")
        finally:
            os.close(handle)
            command.kill()  # it has ended, or must
            code = command.wait()
        return code

    def keep(self) -> None:
        """Let it outlive us. Raises Interrupted, and StagingError when it has ended meanwhile."""
        with contextlib.suppress(BrokenPipeError):
            self._stdin.write(b"keep\n")
            self._stdin.flush()
        while (event := self.next()) is not None:
            if event["event"] == "kept":
                self._kept = True
                return
        raise StagingError("the staging has ended by itself")

    def again(self) -> dict[str, Any]:
        """Have the back end that was refused started once more; what is told of it.

        Raises Interrupted, and StagingError when it does not start.
        """
        with contextlib.suppress(BrokenPipeError):
            self._stdin.write(b"again\n")
            self._stdin.flush()
        while (event := self.next()) is not None:
            if event["event"] == "started":
                return event
            if event["event"] == "failed":
                raise StagingError(event["message"], detail=event["detail"], hint=event["hint"])
        raise StagingError("the staging has ended by itself")

    def close(self) -> list[reaper.Identity]:
        """End it, if it is not kept, and wait until nothing is left; which processes are."""
        left: list[reaper.Identity] = []
        with contextlib.suppress(BrokenPipeError):
            self._stdin.close()
        if not self._kept:
            self._interrupted = 0
            self._wait_for_end()
            # When it was killed, or broke, what it had is ours now. What it says itself is not taken on trust.
            left = self._clear() if self.ended is None else reaper.marked(self._cookie)
        self._stdout.close()
        for number, handler in self._before.items():
            signal.signal(number, handler)
        signal.set_wakeup_fd(self._wakeup_before)
        os.close(self._wake)
        os.close(self._wake_end)
        return left

    def _wait_for_end(self, seconds: float = 60.0) -> None:
        """Until the keeping process is gone: its output ends. Further signals change nothing: the end is on its way."""
        deadline = time.monotonic() + seconds
        while True:
            try:
                event = self.next(max(0.0, deadline - time.monotonic()))
            except Interrupted:
                os.read(self._wake, 100)
                self._interrupted = 0
                continue
            if event is None:
                return
            if event["event"] == "ended":
                self.ended = event

    def _clear(self) -> list[reaper.Identity]:
        """End what is left of a keeping process that was killed. What it had already started is in its record."""
        record = read(self.directory)
        if record is None:  # it was killed before it could have started anything, or its keepers were faster than we
            self.ended = {"processes": 0, "left": []}
            return reaper.marked(self._cookie) if self._cookie else []
        count, left = stop(record)
        self.ended = {"processes": count, "left": []}
        return left


def leftovers() -> list[Record]:
    """Stagings of this user whose keeping process was killed, together with the command that had started it."""
    return [record for record in records() if not record.running]


def kept() -> list[Record]:
    """Stagings of this user that were told to stay and do."""
    return [record for record in records() if record.running and record.kept]
