"""`pgusher.job`: a script whose run fails when it has failed, and ends when it has ended."""

from __future__ import annotations

import functools
import os
import threading
from collections.abc import Callable
from types import TracebackType
from typing import ParamSpec, Self, TypeVar, overload

from pgusher.client.label import JOB
from pgusher.client.threads import GRACE, watch
from pgusher.errors import PgusherError

P = ParamSpec("P")
R = TypeVar("R")

TIMED_OUT = 124
"""Exit code of a run that took longer than its limit, as of timeout(1)."""
INTERRUPTED = 130


class JobError(PgusherError):
    """A thread of the job raised. The exception of the first one is its cause."""


class Job:
    """What `job(...)` gives: a decorator and a context manager."""

    def __init__(self, name: str | None, grace: float, limit: float | None) -> None:
        self._name = name
        self._grace = grace
        self._limit = limit
        self._before: tuple[float | None, str | None] = (None, None)
        self._seen = 0
        self._threads: set[threading.Thread] = set()
        self._done = threading.Event()

    def __call__(self, function: Callable[P, R]) -> Callable[P, R]:
        """The function as a job: each call is a run."""

        @functools.wraps(function)
        def run(*args: P.args, **kwargs: P.kwargs) -> R:
            with Job(self._name, self._grace, self._limit):
                return function(*args, **kwargs)

        return run

    def __enter__(self) -> Self:
        watch.install()
        self._before = (watch.exits, os.environ.get(JOB))
        watch.exits = self._grace
        self._seen = len(watch.deaths)
        self._threads = set(threading.enumerate())
        self._done.clear()
        if self._name is not None:
            os.environ[JOB] = self._name
        if self._limit is not None:
            threading.Thread(target=self._end_at_limit, name="pgusher-limit", daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._done.set()
        watch.stand_first()
        exits, name = self._before
        # A thread that outlives the main one is part of the run: that it raises later is a failure, too.
        if not any(not thread.daemon for thread in set(threading.enumerate()) - self._threads):
            watch.exits = exits
        if self._name is not None:
            if name is None:
                os.environ.pop(JOB, None)
            else:
                os.environ[JOB] = name
        if error is not None:
            if code := _code(error):
                watch.main_failed(error, code, self._grace)
            return
        if deaths := watch.deaths[self._seen :]:
            count = f"{len(deaths)} threads" if len(deaths) > 1 else "a thread"
            failure = JobError(f"{count} of the job raised", detail="; ".join(map(str, deaths[:5])))
            watch.main_failed(failure, 1, self._grace)
            raise failure from deaths[0].error

    def _end_at_limit(self) -> None:
        if self._limit is not None and not self._done.wait(self._limit):
            watch.end_within(0.0, TIMED_OUT, f"the job took longer than its limit of {self._limit:g} s")


def _code(error: BaseException) -> int:
    """The exit code that the interpreter gives to what is raised (source: Python documentation, `SystemExit`)."""
    if isinstance(error, SystemExit):
        return error.code if isinstance(error.code, int) else 0 if error.code is None else 1
    return INTERRUPTED if isinstance(error, KeyboardInterrupt) else 1


@overload
def job(function: Callable[P, R], /) -> Callable[P, R]: ...


@overload
def job(name: str | None = None, /, *, grace: float = GRACE, limit: float | None = None) -> Job: ...


def job(
    what: Callable[P, R] | str | None = None, /, *, grace: float = GRACE, limit: float | None = None
) -> Callable[P, R] | Job:
    """A run that fails when one of its threads has failed: a decorator, with or without arguments, or a `with`.

        @pgusher.job
        def main(): ...

        with pgusher.job("nightly", grace=10, limit=3600): ...

    When a thread dies of an exception, the run has failed. It gets `grace` seconds to end by itself; then it is told
    what each thread waits for, sessions are closed and the process ends with exit code 1, whatever waits for what. If
    it does end by itself, it raises JobError. What the main thread raises goes on its way; if it ends the program,
    other threads have `grace` seconds, too. `limit` is the most seconds that a run may take, with exit code 124 after.

    `name` is what the sessions of the run carry as their application_name (see `pgusher.client.label`).
    """
    if callable(what):
        return Job(None, grace, limit)(what)
    return Job(what, grace, limit)
