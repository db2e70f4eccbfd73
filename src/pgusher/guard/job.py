"""`pgusher.job` with what the guard knows: one run at a time, slots before it starts, and a history of the runs."""

from __future__ import annotations

import os
import re
import sys
import time
from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING, Literal, NoReturn, ParamSpec, Self, TypeVar, overload

from pgusher.client.directory import DirectoryError
from pgusher.client.job import TIMED_OUT, Job, JobError
from pgusher.client.stderr import say
from pgusher.client.threads import GRACE, watch

if TYPE_CHECKING:
    from pgusher.client.budget import Budget
    from pgusher.client.budget.lease import Lease
    from pgusher.guard.history import History
    from pgusher.guard.history_entry import Entry
    from pgusher.guard.lock import Lock
    from pgusher.guard.records import Holder

P = ParamSpec("P")
R = TypeVar("R")
Overlap = Literal["allow", "skip", "wait", "replace"]

NOT_STARTED = 75
"""Exit code of a run that did not start as another one was there: EX_TEMPFAIL of sysexits.h, "try later"."""


_LOOKS = 0.1
"""Seconds between two looks of a run that waits for another one."""
_NOT_A_NAME = re.compile(r"[^A-Za-z0-9._-]+")
_held: list[GuardedJob] = []
"""Those of this process that have the lock of their job."""


class NotStarted(SystemExit):
    """Another run of the job is there, or there are no slots for it.

    Where nobody catches it, the program ends with exit code 75.
    """

    def __init__(self, message: str) -> None:
        super().__init__(NOT_STARTED)
        self.message = message

    def __str__(self) -> str:
        return self.message


class GuardedJob(Job):
    """What `job(...)` gives: a decorator and a context manager."""

    def __init__(
        self,
        name: str | None,
        grace: float,
        timeout: float | None,
        overlap: Overlap,
        slots: int = 0,
        budget: Budget | str | None = None,
    ) -> None:
        super().__init__(name, grace, timeout)
        if overlap not in {"allow", "skip", "wait", "replace"}:
            raise ValueError(f"overlap is 'allow', 'skip', 'wait' or 'replace', not {overlap!r}")
        if bool(slots) != (budget is not None):
            raise ValueError("slots= and budget= go together: pgusher.job('nightly', slots=5, budget='web')")
        if overlap != "allow" and name is None:
            raise ValueError(f"overlap={overlap!r} needs the job's name: pgusher.job('nightly', overlap={overlap!r})")
        if slots and name is None:
            raise ValueError("slots= needs the job's name: pgusher.job('nightly', slots=5, budget='web')")
        self._overlap: Overlap = overlap
        self._slots = slots
        self._budget = budget
        self._lease: Lease | None = None
        self._lock: Lock | None = None
        self._entry: Entry | None = None
        self._began = 0

    def _copy(self) -> Job:
        return GuardedJob(self._name, self._grace, self._timeout, self._overlap, self._slots, self._budget)

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
        from pgusher.guard.kernel import COOKIE
        from pgusher.guard.lock import directory, me
        from pgusher.model.redact import redact_argv

        try:
            place = directory()
        except OSError as error:
            if self._overlap != "allow":
                raise _unusable(error) from None
            place = ""
        file = os.path.join(place, f"{_NOT_A_NAME.sub('-', name)[:64]}.lock")
        # In a run of `pgusher run` of that name: it has the lock, and it writes the run down.
        if any(pair.partition("@")[2] == file for pair in os.environ.get(COOKIE, "").split(";")):
            self._take_slots(name, None)
            return
        started = time.time_ns() // 1000
        own = me(f"{started:x}-{os.getpid():x}", self._grace)
        entry = Entry(
            own.run,
            name,
            " ".join(redact_argv(sys.argv)),
            started,
            limit=None if self._timeout is None else round(self._timeout * 1_000_000),
            uid=os.geteuid(),
            guard_pid=own.pid,
            guard_ticks=own.ticks,
            boot=own.boot,
        )
        if self._overlap != "allow":
            self._take_turn(name, file, own, entry)
        self._take_slots(name, entry)
        self._entry = entry
        self._began = time.monotonic_ns()
        self._tell(self._history().begin(entry))
        watch.last_words.append(self._cut_short)

    def _take_turn(self, name: str, file: str, own: Holder, entry: Entry) -> None:
        from pgusher.guard.lock import Lock

        place, _, base = file.removesuffix(".lock").rpartition("/")
        try:
            lock = Lock(place, base)
            while not (taken := lock.take()) and self._overlap in {"wait", "replace"}:
                holder = lock.holder()
                if self._overlap == "replace" and holder is not None:
                    if holder.pid == os.getpid():
                        break  # a run within itself
                    from pgusher.guard.run import end_run

                    say(f"pgusher: job {name}: the run of pid {holder.pid} is ended to make room")
                    end_run(holder)
                time.sleep(_LOOKS)
            if taken:
                lock.write(own)
        except OSError as error:
            raise _unusable(error) from None
        if taken:
            self._lock = lock
            _held.append(self)
            return
        other = lock.holder()
        lock.close()
        who = f"pid {other.pid} runs since {_iso(other.started)}" if other else "another run has just begun"
        self._skip(f"job {name} was not started: {who}", [who], entry)

    def _take_slots(self, name: str, entry: Entry | None) -> None:
        """Ask the budget. `entry` is the run as it would be on record; None when its guard writes it down."""
        if self._budget is None:
            return
        from pgusher.client.budget import Budget
        from pgusher.guard import slots

        try:
            budget = Budget(self._budget) if isinstance(self._budget, str) else self._budget
            if os.environ.get(slots.TAKEN, "").partition("=")[0] == budget.name:
                return  # its guard has them
            lease = budget.lease(self._slots)
            slots.take(lease, name, wait=self._overlap == "wait", tell=_tell)
        except slots.NoSlots as none:
            self._give_back()
            self._skip(none.lines[0], none.lines[1:], entry)
        except BaseException:
            self._give_back()
            raise
        else:
            self._lease = lease

    def _skip(self, message: str, why: list[str], entry: Entry | None) -> NoReturn:
        for line in (message, *(one for one in why if one not in message)):
            say(f"pgusher: {line}")
        if entry is not None:
            from pgusher.model.values import replace

            now = time.time_ns() // 1000
            skipped = replace(entry, ending="skipped", ended=now, duration=0, exit=NOT_STARTED, evidence=tuple(why))
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
        if self._lease is not None:
            lease, self._lease = self._lease, None
            lease.close()
        if self._lock is not None:
            _held.remove(self)
            lock, self._lock = self._lock, None
            lock.close()

    def _forked(self) -> None:
        """A child has a copy of the lock, and would keep it when its parent has ended."""
        self._lease = None  # its budget has forgotten it, see `pgusher.client.budget`
        if self._lock is not None:
            lock, self._lock = self._lock, None
            lock.forget()

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


def _unusable(error: OSError) -> DirectoryError:
    return DirectoryError(f"cannot lock the job: {(error.strerror or str(error)).lower()}", error.filename)


def _forked() -> None:
    for one in _held:
        one._forked()  # noqa: SLF001 - it is ours
    _held.clear()


os.register_at_fork(after_in_child=_forked)


def _tell(line: str) -> None:
    say(f"pgusher: {line}")


def _iso(moment: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(moment // 1_000_000))


@overload
def job(function: Callable[P, R], /) -> Callable[P, R]: ...


@overload
def job(
    name: str | None = None,
    /,
    *,
    grace: float = GRACE,
    timeout: float | None = None,
    overlap: Overlap = "allow",
    slots: int = 0,
    budget: Budget | str | None = None,
) -> GuardedJob: ...


def job(
    what: Callable[P, R] | str | None = None,
    /,
    *,
    grace: float = GRACE,
    timeout: float | None = None,
    overlap: Overlap = "allow",
    slots: int = 0,
    budget: Budget | str | None = None,
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
    NotStarted, which ends the program with exit code 75; "wait" begins once that one has ended; "replace" tells that
    one to end, TERM and after its grace KILL; "allow" asks nobody.

    `slots` of `budget` (a Budget, or the name of one of the configuration) are taken before it begins, for sessions
    that no pool with that budget opens. Where they cannot be had, it is as while another run is there: "wait" waits,
    else NotStarted says who has them.

    `name` is what the sessions of the run carry as their application_name (see `pgusher.client.label`), and under
    which `pgusher jobs` has its runs. That a run cannot be written down is a warning on standard error, no more.

    Raises ValueError for an `overlap` or `slots` without a name, DirectoryError when there is no directory for the
    lock, BudgetError and ConfigError for a budget that cannot be kept.
    """
    if callable(what):
        return GuardedJob(None, grace, timeout, overlap, slots, budget)(what)
    return GuardedJob(what, grace, timeout, overlap, slots, budget)
