"""One run of a job under the guard: alone, watched, ended whole, on record."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import time
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from pgusher.guard import kernel, records, trail
from pgusher.guard.history_entry import Entry
from pgusher.guard.lock import COMMAND, Lock, directory, leftovers, me
from pgusher.guard.records import Ended, Evidence, Holder, Job, Leftover, Sessions, Traffic
from pgusher.guard.start import NotStarted
from pgusher.model.values import replace

if TYPE_CHECKING:
    from pgusher.client.budget.lease import Lease
    from pgusher.guard.life import Life

_CHECK = 5.0
"""Seconds that the look at the server may take when a run has ended."""
_SLACK = 5.0
"""Seconds on top of its grace that the guard of a run that is to be replaced gets."""


Hooks = tuple[Evidence | None, Callable[[str], None], Callable[[str], None], Sessions | None, Traffic | None]


class Skip(Exception):  # noqa: N818 - that a run is not needed is no error
    """The job runs already: what is told of it."""

    def __init__(self, lines: Sequence[str]) -> None:
        super().__init__(lines[0])
        self.lines = list(lines)


def run(
    job: Job,
    environ: Mapping[str, str] | None = None,
    *,
    evidence: Evidence | None = None,
    tell: Callable[[str], None] = lambda _line: None,
    step: Callable[[str], None] = lambda _name: None,
    sessions: Sessions | None = None,
    slots: Lease | None = None,
    traffic: Traffic | None = None,
) -> Ended:
    """Run it, and say what became of it. Nothing of it is left then, or `survivors` names it.

    `slots` are taken before it starts. `evidence` says what processes wait for; `tell` gets what is to be said while it
    runs; `step` the name of each step (for tests that kill the guard there); `sessions` knows what they have on a
    server, `traffic` what they send. Raises NotStarted, Skip, and OSError for what the guard cannot do itself.
    """
    environ = dict(os.environ if environ is None else environ)
    _open_standard()
    started, clock = time.time_ns() // 1000, time.monotonic()
    name = f"{started:x}-{os.getpid()}"
    place = directory(environ)
    lock = Lock(place, job.name)
    step("opened")
    try:
        try:
            notes = [*_alone(lock, job, name, evidence, environ), *(_slots(slots, job, environ, tell) if slots else ())]
        except Skip as skip:
            _skipped(job, name, started, skip.lines)
            raise
        trail.forget(lock.path.removesuffix("lock") + "trail")
        step("locked")
        warnings = []
        try:
            lock.write(me(name, job.grace, _command(job.argv)))
        except OSError as error:
            # The lock holds all the same, and the cookie finds what we leave: only the message about us is poorer.
            warnings.append(f"the holder of the lock is not on record: {(error.strerror or '').lower()}")
        step("recorded")
        done = _guarded(job, environ, me(name, job.grace), lock.path, (evidence, tell, step, sessions, traffic))
        return replace(
            done,
            started=started,
            ended=time.time_ns() // 1000,
            duration=int((time.monotonic() - clock) * 1e6),
            evidence=(*notes, *done.evidence),
            warnings=(*warnings, *done.warnings),
        )
    finally:
        if slots is not None:
            slots.close()
        lock.close()


def _guarded(job: Job, environ: dict[str, str], own: Holder, path: str, hooks: Hooks) -> Ended:
    from pgusher.guard.history import History
    from pgusher.guard.life import Life

    evidence, tell, step, sessions, traffic = hooks
    name, started = own.run, own.started
    output, report = path.removesuffix("lock") + "out", path.removesuffix("lock") + "report"
    # What an inner guard starts is a part of our run, too.
    environ[kernel.COOKIE] = ";".join(filter(None, (environ.get(kernel.COOKIE), f"{name}@{path}")))
    environ.setdefault("PGAPPNAME", job.name[:63])
    threads = job.watch_threads and _watch_threads(environ, report, job.grace)
    life = Life(job, environ, output, step, sessions, traffic, report if threads else "")
    history = History()
    entry = Entry(
        run=name, job=job.name, command=_command(job.argv), started=started, uid=os.geteuid(), guard_pid=own.pid,
        guard_ticks=own.ticks, boot=own.boot, output=output if life.relay.streams else "",
        limit=None if job.limit is None else int(job.limit * 1e6), limit_source=job.limit_source,
    )  # fmt: skip
    warnings = history.begin(entry)
    step("begun")
    clock = time.monotonic()
    refused: NotStarted | None = None
    try:
        asks = [evidence, sessions.lines if sessions else None]
        ended = _lived(life, job, name, path.removesuffix("lock") + "trail", asks, tell)
        if sessions is not None and sessions.is_worth_a_look():
            left = life.ask(lambda: sessions.left(environ["PGAPPNAME"], started), _CHECK, "look at the server")
            ended = replace(ended, evidence=(*ended.evidence, *left))
    except NotStarted as error:
        refused = error
        ended = Ended(name, records.NOT_STARTED, error.code, evidence=(str(error),))
    finally:
        life.close()
    dead, watched = _dead_threads(report) if threads else ([], 1)
    if not watched and (job.verbose or ended.ending != records.DONE) and any(map(_is_python, job.argv)):
        ended = replace(ended, evidence=(*ended.evidence, _UNWATCHED))
    if dead and ended.ending in (records.DONE, records.FAILED):
        ended = replace(ended, ending=records.THREAD, exit=ended.exit or 1)
    ended = replace(
        ended,
        evidence=(*dead, *ended.evidence),
        peak_memory=life.peak_memory or None,
        end_took=None if life.end_took is None else int(life.end_took * 1e6),
        peak_slots=sessions.peak if sessions else None,
    )
    step("ended")
    now = time.time_ns() // 1000
    warnings += history.end(
        replace(
            entry, ending=ended.ending, ended=now, duration=int((time.monotonic() - clock) * 1e6),
            exit=ended.exit, evidence=ended.evidence, peak_memory=ended.peak_memory, peak_slots=ended.peak_slots,
            end_took=ended.end_took,
        ),
        now,
    )  # fmt: skip
    step("kept")
    if refused is not None:
        raise refused
    return replace(ended, warnings=tuple(warnings))


def _lived(
    life: Life, job: Job, name: str, path: str, asks: Sequence[Evidence | None], tell: Callable[[str], None]
) -> Ended:
    life.start(name, path)
    if life.no_cgroup and job.verbose:
        tell(f"job {job.name} has no cgroup: {life.no_cgroup}")
    why = life.watch()
    while why == "idle" and not job.idle_kill:
        tell(f"job {job.name} has done nothing for {job.idle:g} s: no output, no CPU, no disk, no network")
        why = life.watch()
    lines: list[str] = []
    if why in ("limit", "idle", "thread"):
        lines = life.evidence(*filter(None, asks))
    left = life.end(life.asked or signal.SIGTERM)
    life.drain(None if why == "ended" else job.grace)
    exit_code = 0
    if life.status is not None:
        code = os.waitstatus_to_exitcode(life.status)
        exit_code = code if code >= 0 else 128 - code
    ending = records.DONE if exit_code == 0 else records.FAILED
    if why == "limit":
        ending, exit_code = records.LIMIT, records.TIMED_OUT
    elif why == "idle":
        ending, exit_code = records.IDLE, records.TIMED_OUT
    elif why == "thread":
        ending, exit_code = records.THREAD, 1
    elif why == "signal":
        ending, exit_code = records.SIGNAL, 128 + (life.asked or 0)
    return Ended(name, ending, exit_code, status=life.status, evidence=tuple(lines), survivors=left)


# -- alone


def _skipped(job: Job, name: str, started: int, lines: Sequence[str]) -> None:
    """On record, too: a job that is skipped again and again is too slow for its schedule."""
    from pgusher.guard.history import History

    now = time.time_ns() // 1000
    entry = Entry(
        name, job.name, _command(job.argv), started, records.SKIPPED, now, now - started, records.TRY_LATER,
        evidence=tuple(lines), uid=os.geteuid(),
    )  # fmt: skip
    History().end(entry, now)  # that it cannot be kept is told by the run that is there


def _alone(lock: Lock, job: Job, run: str, evidence: Evidence | None, environ: Mapping[str, str]) -> list[str]:
    """Take the lock and make sure that nothing of an earlier run is left. Gives what is to be told; raises Skip."""
    notes: list[str] = []
    while not lock.take():
        holder = lock.holder()
        if holder is not None and f"{holder.run}@{lock.path}" in environ.get(kernel.COOKIE, "").split(";"):
            # It would wait for itself for ever, or end itself to make room.
            raise Skip([f"job {job.name} is run within a run of itself: give one of the two another --name"])
        if job.overlap == "skip" or (job.overlap == "replace" and _other(job, holder)):
            raise Skip(_told(job, holder, evidence))
        if not lock.queue():
            raise Skip([f"another run of job {job.name} waits already", *_told(job, holder, evidence)])
        if job.overlap == "replace" and holder is not None:
            notes.append(f"run {holder.run} of pid {holder.pid} was ended to make room")
            end_run(holder)
        else:
            _wait_for(holder, 1.0)
    before = lock.holder()  # whoever had it last: what is left may be that one's
    while left := leftovers(lock.path, run):
        lines = [f"pid {one.pid} of run {one.run}, whose guard is gone: {one.command}" for one in left[:10]]
        other = before is not None and any(one.run == before.run for one in left) and _other(job, before)
        if job.overlap == "skip" or (job.overlap == "replace" and other):
            lines += [other] if other else []
            told = f"job {job.name} runs still: {len(left)} processes of a run whose guard is gone"
            raise Skip([told.replace("1 processes", "1 process"), *lines, *_evidence(evidence, left)])
        if job.overlap == "replace":
            notes += [f"ended {line}" for line in lines]
            _end_leftovers(lock.path, run, job.grace)
        else:
            for one in left:
                _wait_pid(one.pid, one.ticks, 5.0)
    return notes


def _slots(lease: Lease, job: Job, environ: dict[str, str], tell: Callable[[str], None]) -> list[str]:
    """Take them. Raises Skip."""
    from pgusher.guard import slots

    try:
        notes = slots.take(lease, job.name, wait=job.overlap == "wait", tell=tell)
    except slots.NoSlots as none:
        raise Skip(none.lines) from None
    environ[slots.TAKEN] = f"{lease.name}={lease.count}"
    return notes


def _told(job: Job, holder: Holder | None, evidence: Evidence | None) -> list[str]:
    if holder is None:
        return [f"job {job.name} runs already"]
    seconds = max(0, time.time_ns() // 1000 - holder.started) // 1_000_000
    lines = [f"job {job.name} runs already: for {_span(seconds)}, guard pid {holder.pid}"]
    lines += [other] if (other := _other(job, holder)) else []
    if evidence is not None:
        pids = tuple(stat.pid for stat in kernel.family(holder.pid))
        with contextlib.suppress(Exception):  # the answer is "not now", with evidence or without
            lines += evidence(pids)
    return lines


def _other(job: Job, holder: Holder | None) -> str:
    """What is told when the name is made of the command, and that run's command is another; "" else.

    It may be another job with the same script, which nobody wants to be ended, or to be kept out by.
    """
    if job.named or holder is None or not holder.command or holder.command == _command(job.argv)[:COMMAND]:
        return ""
    return f"that run is of another command: {holder.command}; if it is another job, give each a --name of its own"


def _evidence(evidence: Evidence | None, left: Sequence[Leftover]) -> list[str]:
    if evidence is not None:
        with contextlib.suppress(Exception):  # as above
            return list(evidence(tuple(one.pid for one in left)))
    return []


def end_run(holder: Holder) -> None:
    """End a run by its guard, which ends all of it; and the guard itself when that does not."""
    if holder.boot != kernel.boot_id():
        _wait_for(None, 0.1)
        return
    kernel.send(holder.pid, holder.ticks, signal.SIGTERM)
    if not _wait_pid(holder.pid, holder.ticks, holder.grace + _SLACK):
        kernel.send(holder.pid, holder.ticks, signal.SIGKILL)
        _wait_pid(holder.pid, holder.ticks, _SLACK)


def _end_leftovers(path: str, run: str, grace: float) -> None:
    began = time.monotonic()
    told: set[int] = set()
    while left := leftovers(path, run):
        late = time.monotonic() - began
        if late > grace + 10:
            raise Skip([f"{len(left)} processes of a lost run cannot be ended: pid {left[0].pid}"])
        for one in left:
            if late >= grace:
                kernel.send(one.pid, one.ticks, signal.SIGSTOP)
        for one in leftovers(path, run) if late >= grace else left:
            if late >= grace or one.pid not in told:
                kernel.send(one.pid, one.ticks, signal.SIGKILL if late >= grace else signal.SIGTERM)
                kernel.send(one.pid, one.ticks, signal.SIGCONT)
                told.add(one.pid)
        _wait_pid(left[0].pid, left[0].ticks, 0.1)


def _wait_for(holder: Holder | None, seconds: float) -> None:
    if holder is None or not _wait_pid(holder.pid, holder.ticks, seconds):
        select.poll().poll(20)


def _wait_pid(pid: int, ticks: int, seconds: float) -> bool:
    """Whether that process has ended by then."""
    try:
        fd = os.pidfd_open(pid)
    except OSError:
        return True
    try:
        stat = kernel.read_stat(pid)
        if stat is None or stat.ticks != ticks:
            return True
        poll = select.poll()
        poll.register(fd, select.POLLIN)
        return bool(poll.poll(int(seconds * 1000)))
    finally:
        os.close(fd)


# -- small things


def _open_standard() -> None:
    """Where 0, 1 or 2 is closed the next file that we open would be it: what is printed would go into our lock."""
    while (fd := os.open(os.devnull, os.O_RDWR)) <= 2:
        os.set_inheritable(fd, True)
    os.close(fd)


def _watch_threads(environ: dict[str, str], report: str, grace: float) -> bool:
    from pgusher.guard.inside import GRACE, environment

    try:
        os.close(os.open(report, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600))
    except OSError:
        return False
    environ.update(environment(environ, report, min(GRACE, grace)))
    return True


_UNWATCHED = "its threads were not watched: a Python with -I, -E or -S, before 3.8, or behind a PYTHONPATH set anew"


def _is_python(word: str) -> bool:
    return os.path.basename(word).rstrip("0123456789.") in {"python", "pypy"}


def _dead_threads(report: str) -> tuple[list[str], int]:
    """What is to be told of them, and how many Python processes were watched."""
    from pgusher.guard.inside.report import read

    found = read(report)
    with contextlib.suppress(OSError):
        os.unlink(report)
    return (found.lines() if found.failed else []), found.watched


def _command(argv: Sequence[str]) -> str:
    from pgusher.model.redact import redact_argv

    return " ".join(redact_argv(argv))


def _span(seconds: int) -> str:
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {seconds} s" if minutes else f"{seconds} s"
