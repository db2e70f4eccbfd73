"""`pgusher.job` with what the guard knows: one run at a time, and a history of the runs."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING, Literal, ParamSpec, Self, TypeVar, overload

from pgusher.client.job import TIMED_OUT, Job, JobError
from pgusher.client.stderr import say
from pgusher.client.threads import GRACE, watch

if TYPE_CHECKING:
    from pgusher.guard.history import History
    from pgusher.guard.history_entry import Entry
    from pgusher.guard.turn import Turn

P = ParamSpec("P")
R = TypeVar("R")
Overlap = Literal["allow", "skip", "wait"]

NOT_STARTED = 75
"""Exit code of a run that did not start as another one was there: EX_TEMPFAIL of sysexits.h, "try later"."""


class NotStarted(SystemExit):
    """Another run of the job is there. Where nobody catches it, the program ends with exit code 75."""

    def __init__(self, message: str) -> None:
        super().__init__(NOT_STARTED)
        self.message = message

    def __str__(self) -> str:
        return self.message


class GuardedJob(Job):
    """What `job(...)` gives: a decorator and a context manager."""

    def __init__(self, name: str | None, grace: float, timeout: float | None, overlap: Overlap) -> None:
        super().__init__(name, grace, timeout)
        if overlap not in {"allow", "skip", "wait"}:
            raise ValueError(f"overlap is 'allow', 'skip' or 'wait', not {overlap!r}")
        if overlap != "allow" and name is None:
            raise ValueError(f"overlap={overlap!r} needs the job's name: pgusher.job('nightly', overlap={overlap!r})")
        self._overlap: Overlap = overlap
        self._turn: Turn | None = None
        self._entry: Entry | None = None
        self._began = 0

    def _copy(self) -> Job:
        return GuardedJob(self._name, self._grace, self._timeout, self._overlap)

    def __enter__(self) -> Self:
        if self._name is not None:
            self._begin(self._name)
        try:
            return super().__enter__()
        except BaseException:
            self._give_back()
            raise

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            super().__exit__(kind, error, trace)
        except JobError as failure:
            self._end("thread", 1, [failure.message, *(failure.detail or "").split("; ")])
            raise
        else:
            if error is None:
                self._end("done", 0, [])
            elif isinstance(error, SystemExit):
                code = error.code if isinstance(error.code, int) else 0 if error.code is None else 1
                self._end("failed" if code else "done", code, [])
            else:
                self._end("failed", 1, [_first_line(error)])

    # -- the turn and the history

    def _begin(self, name: str) -> None:
        from pgusher.guard.history_entry import Entry
        from pgusher.guard.turn import myself
        from pgusher.model.redact import redact_argv

        started = time.time_ns() // 1000
        me = myself(f"{started:x}-{os.getpid():x}")
        entry = Entry(
            me.run,
            name,
            " ".join(redact_argv(sys.argv)),
            started,
            limit=None if self._timeout is None else round(self._timeout * 1_000_000),
            uid=os.geteuid(),
            guard_pid=me.pid,
            guard_ticks=me.ticks,
            boot=me.boot,
        )
        if self._overlap != "allow":
            self._take_turn(name, entry)
        self._entry = entry
        self._began = time.monotonic_ns()
        self._tell(self._history().begin(entry))
        watch.last_words.append(self._cut_short)

    def _take_turn(self, name: str, entry: Entry) -> None:
        from pgusher.guard.turn import Turn, myself

        turn = Turn(name)
        other = turn.take(myself(entry.run), wait=self._overlap == "wait")
        if other is None:
            self._turn = turn
            return
        since = f" since {_iso(other.since)}" if other.since else ""
        who = f"pid {other.pid} runs{since}" if other.pid else "another run has just begun"
        message = f"job {name} was not started: {who}"
        say(f"pgusher: {message}")
        from pgusher.model.values import replace

        now = time.time_ns() // 1000
        skipped = replace(entry, ending="skipped", ended=now, duration=0, exit=NOT_STARTED, evidence=(who,))
        self._tell(self._history().end(skipped, now))
        raise NotStarted(message)

    def _end(self, ending: str, code: int, evidence: list[str]) -> None:
        if self._cut_short in watch.last_words:
            watch.last_words.remove(self._cut_short)
        if self._entry is not None:
            from pgusher.model.redact import redact_text
            from pgusher.model.values import replace

            entry, self._entry = self._entry, None
            now = time.time_ns() // 1000
            told = tuple(redact_text(line) for line in evidence)
            duration = (time.monotonic_ns() - self._began) // 1000
            self._tell(
                self._history().end(
                    replace(
                        entry,
                        ending=ending,
                        ended=now,
                        duration=duration,
                        exit=code,
                        evidence=told,
                        peak_memory=_peak_memory(),
                    ),
                    now,
                )
            )
        self._give_back()

    def _cut_short(self, why: str, code: int) -> None:
        """The process is ended, whatever waits for what."""
        self._end("limit" if code == TIMED_OUT else "thread", code, [why])

    def _give_back(self) -> None:
        if self._turn is not None:
            self._turn.give_back()
            self._turn = None

    def _history(self) -> History:
        from pgusher.guard.history import History

        return History()

    def _tell(self, warnings: list[str]) -> None:
        for warning in warnings:
            say(f"pgusher: {warning}")


def _peak_memory() -> int:
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def _first_line(error: BaseException) -> str:
    text = " ".join(str(error).split())[:300]
    return f"{type(error).__name__}{': ' if text else ''}{text}"


def _iso(moment: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(moment // 1_000_000))


@overload
def job(function: Callable[P, R], /) -> Callable[P, R]: ...


@overload
def job(
    name: str | None = None, /, *, grace: float = GRACE, timeout: float | None = None, overlap: Overlap = "allow"
) -> GuardedJob: ...


def job(
    what: Callable[P, R] | str | None = None,
    /,
    *,
    grace: float = GRACE,
    timeout: float | None = None,
    overlap: Overlap = "allow",
) -> Callable[P, R] | GuardedJob:
    """A run that fails when one of its threads has failed: a decorator, with or without arguments, or a `with`.

        @pgusher.job
        def main(): ...

        with pgusher.job("nightly", grace=10, timeout=3600, overlap="skip"): ...

    When a thread dies of an exception, the run has failed. It gets `grace` seconds to end by itself; then it is told
    what each thread waits for, sessions are closed and the process ends with exit code 1, whatever waits for what. If
    it does end by itself, it raises JobError. What the main thread raises goes on its way; if it ends the program,
    other threads have `grace` seconds, too. `timeout` is the most seconds that a run may take; the code is 124 then.

    `overlap` says what to do while another run of the same name is there, in any process of this user: "skip" raises
    NotStarted, which ends the program with exit code 75; "wait" begins once that one has ended; "allow" asks nobody.

    `name` is what the sessions of the run carry as their application_name (see `pgusher.client.label`), and under
    which `pgusher jobs` has its runs. That a run cannot be written down is a warning on standard error, no more.

    Raises ValueError for an `overlap` without a name, and DirectoryError when there is no directory for the lock.
    """
    if callable(what):
        return GuardedJob(None, grace, timeout, overlap)(what)
    return GuardedJob(what, grace, timeout, overlap)
