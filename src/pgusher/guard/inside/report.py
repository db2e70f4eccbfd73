"""What the watched Python processes of a job wrote into the guard's report."""

from __future__ import annotations

import json
import os
from typing import Any

from pgusher.model.values import dataclass

_MOST = 8 << 20


@dataclass(frozen=True, slots=True)
class Death:
    """A thread that has died of an exception."""

    pid: int
    thread: str
    error: str
    """The exception's class."""
    text: str
    """What it says, on one line, without secrets."""
    file: str
    """The innermost line that is no library's; "" when there is none."""
    line: int
    at: float
    """Seconds since 1970."""
    grace: float
    """Seconds after which its process is ended."""
    traceback: str = ""

    def __str__(self) -> str:
        what = f": {self.text}" if self.text else ""
        where = f" at {self.file}:{self.line}" if self.file else ""
        return f"thread {self.thread} of pid {self.pid} died of {self.error}{what}{where}"


@dataclass(frozen=True, slots=True)
class Waiting:
    """Where a thread was when the grace was over."""

    pid: int
    thread: str
    waits: str
    """The library's function next to the program's own line: "Queue.join"; "" when it was in its own code."""
    file: str
    line: int
    main: bool
    daemon: bool

    def __str__(self) -> str:
        if not self.file:
            return f"thread {self.thread} {'has ended' if self.main else f'is in {self.waits}'}"
        waits = f"waits in {self.waits}" if self.waits else "is"
        return f"thread {self.thread} {waits} at {self.file}:{self.line}"


@dataclass(frozen=True, slots=True)
class Report:
    """All that was written so far."""

    watched: int = 0
    """How many Python processes have said that they are watched (the first thousand or so)."""
    deaths: tuple[Death, ...] = ()
    waiting: tuple[Waiting, ...] = ()

    @property
    def failed(self) -> bool:
        """Whether the run has failed, whatever its exit code."""
        return bool(self.deaths)

    def lines(self) -> list[str]:
        """What is to be told of it: who died, and who waited for ever."""
        told = [str(death) for death in self.deaths[:5]]
        if len(self.deaths) > 5:
            told.append(f"and {len(self.deaths) - 5} more threads died")
        told += [str(one) for one in self.waiting if not one.daemon or one.main][:10]
        return told


def read(path: str) -> Report:
    """The report so far. What is torn, or not of our making, is passed over; a report that is not there is empty."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError:
        return Report()
    with os.fdopen(fd, "rb") as file:
        try:
            raw = file.read(_MOST)
        except OSError:
            return Report()
    watched = 0
    deaths: list[Death] = []
    waiting: list[Waiting] = []
    for line in raw.split(b"\n"):
        try:
            record = json.loads(line)
            kind = record["kind"]
            if kind == "seen":
                watched += 1
            elif kind == "death":
                deaths.append(_death(record))
            elif kind == "stuck":
                waiting += [_waiting(record["pid"], one) for one in record["threads"]]
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            continue
    return Report(watched, tuple(deaths), tuple(waiting))


def _death(record: dict[str, Any]) -> Death:
    from pgusher.model.redact import redact_text  # late: hardly any run needs it

    return Death(
        pid=int(record["pid"]),
        thread=str(record["thread"]),
        error=str(record["error"]),
        text=redact_text(str(record["text"])),
        file=str(record["file"]),
        line=int(record["line"]),
        at=float(record["at"]),
        grace=float(record["grace"]),
        traceback=redact_text(str(record["traceback"])),
    )


def _waiting(pid: int, one: dict[str, Any]) -> Waiting:
    return Waiting(
        pid=int(pid),
        thread=str(one["thread"]),
        waits=str(one["waits"]),
        file=str(one["file"]),
        line=int(one["line"]),
        main=bool(one["main"]),
        daemon=bool(one["daemon"]),
    )
