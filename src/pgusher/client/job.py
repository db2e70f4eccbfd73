"""The core of `pgusher.job`: a script whose run fails when it has failed, and ends when it has ended.

The function itself is `pgusher.guard.job.job`, which adds one run at a time and the history.
"""

from __future__ import annotations

import functools
import os
import threading
from collections.abc import Callable
from types import TracebackType
from typing import Any, ParamSpec, Self, TypeVar

from pgusher.client.label import JOB
from pgusher.client.threads import watch
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

    def __init__(self, name: str | None, grace: float, timeout: float | None) -> None:
        self._name = name
        self._grace = grace
        self._timeout = timeout
        self._before: tuple[float | None, str | None] = (None, None)
        self._seen = 0
        self._threads: set[threading.Thread] = set()
        self._done = threading.Event()

    def __call__(self, function: Callable[P, R]) -> Callable[P, R]:
        """The function as a job: each call is a run; of a coroutine function, each time that it is awaited.

        Raises TypeError for a generator function: a call of it runs nothing of it.
        """
        import inspect

        if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
            raise TypeError(
                "pgusher.job is for functions and coroutine functions: use it as a with block in a generator"
            )
        if inspect.iscoroutinefunction(function):
            # The call only makes the coroutine: the run would be over before it has begun.
            @functools.wraps(function)
            async def awaited(*args: P.args, **kwargs: P.kwargs) -> Any:
                with self._copy():
                    return await function(*args, **kwargs)

            return awaited  # type: ignore[return-value]  # R is the coroutine's type

        @functools.wraps(function)
        def run(*args: P.args, **kwargs: P.kwargs) -> R:
            with self._copy():
                return function(*args, **kwargs)

        return run

    def _copy(self) -> Job:
        """Another run of the same."""
        return Job(self._name, self._grace, self._timeout)

    def __enter__(self) -> Self:
        watch.install()
        self._before = (watch.exits, os.environ.get(JOB))
        watch.exits = self._grace
        self._seen = len(watch.deaths)
        self._threads = set(threading.enumerate())
        self._done.clear()
        if self._name is not None:
            os.environ[JOB] = self._name
        if self._timeout is not None:
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
        if self._timeout is not None and not self._done.wait(self._timeout):
            watch.end_within(0.0, TIMED_OUT, f"the job took longer than its limit of {self._timeout:g} s")


def _code(error: BaseException) -> int:
    """The exit code that the interpreter gives to what is raised (source: Python documentation, `SystemExit`)."""
    if isinstance(error, SystemExit):
        return error.code if isinstance(error.code, int) else 0 if error.code is None else 1
    return INTERRUPTED if isinstance(error, KeyboardInterrupt) else 1
