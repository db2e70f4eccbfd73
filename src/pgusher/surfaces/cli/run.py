"""`pgusher run`: a job under the guard."""

from __future__ import annotations

import os
import re
import signal
from contextlib import suppress
from typing import TYPE_CHECKING

from pgusher.errors import PgusherError, UsageError
from pgusher.surfaces.cli.common import GENERAL
from pgusher.surfaces.cli.context import Context
from pgusher.surfaces.cli.options import Argument, Command, Option, Values, whole

if TYPE_CHECKING:
    from collections.abc import Collection

    from pgusher.client.budget.lease import Lease
    from pgusher.guard.records import Ended, Job


def run(values: Values, context: Context) -> int:
    """Runs it. The exit code is the job's own; 124 at the limit, 75 when it was not started, 125 for the guard."""
    from pgusher.app.run_sessions import RunSessions
    from pgusher.guard.records import GUARD_FAILED, TRY_LATER, Ended
    from pgusher.guard.run import Skip
    from pgusher.guard.run import run as guarded
    from pgusher.guard.start import NotStarted

    job = _job(values)
    sessions = RunSessions(context.environ, values["dsn"])
    try:
        slots = _slots(values)
    except PgusherError as error:
        if isinstance(error, UsageError):
            raise
        _say(context, [f"cannot guard job {job.name}: {error.message}", error.detail or "", error.hint or ""])
        return GUARD_FAILED

    def step(name: str) -> None:
        if name == "started" and values["ping"]:
            _start_ping(values["ping"])

    try:
        ended = guarded(
            job,
            dict(context.environ),
            evidence=_evidence,
            tell=lambda line: _say(context, [line]),
            step=step,
            sessions=sessions,
            traffic=_traffic,
            slots=slots,
        )
    except Skip as skip:
        _say(context, [*skip.lines])
        return TRY_LATER
    except NotStarted as error:
        _say(context, [str(error)])
        _others(values, context, job, Ended("", "not started", error.code, evidence=(str(error),)))
        return error.code
    except OSError as error:
        _say(context, [f"cannot guard job {job.name}: {(error.strerror or str(error)).lower()}", error.filename or ""])
        return GUARD_FAILED
    _tell(context, job, ended)
    _others(values, context, job, ended)
    return ended.exit


def _others(values: Values, context: Context, job: Job, ended: Ended) -> None:
    """Tell whoever else is to know. What goes wrong with that is a line, and never the job's failure."""
    if not (values["ping"] or values["textfile"] or (ended.exit and (values["webhook"] or values["on_failure"]))):
        return
    from pgusher.guard import tell

    text = "\n".join([f"{job.name}: {ended.ending}, exit code {ended.exit}", *ended.evidence])
    done = [
        values["ping"] and tell.ping(values["ping"] + ("/fail" if ended.exit else ""), text),
        values["textfile"] and tell.textfile(values["textfile"], job.name, ended),
    ]
    if ended.exit:
        done += [
            values["webhook"] and tell.post(values["webhook"], job.name, ended),
            values["on_failure"] and tell.command(values["on_failure"], context.environ, job.name, ended),
        ]
    for wrong in filter(None, done):
        _say(context, [f"warning: {wrong}"])


def _start_ping(url: str) -> None:
    """In a process of its own: a slow answer holds up nobody, and the job's end ends it."""
    if os.fork() == 0:
        with suppress(BaseException):
            from pgusher.guard.kernel import die_with_parent
            from pgusher.guard.tell import ping

            die_with_parent(signal.SIGKILL)  # it has the lock of the job, too
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGTERM, signal.SIG_DFL)

            ping(f"{url}/start")
        os._exit(0)


def _job(values: Values) -> Job:
    from pgusher.attribute.guarded import default_name
    from pgusher.guard.records import Job

    argv = tuple(values["command"])
    if not argv:
        raise UsageError("a command is missing", hint="pgusher run --timeout 9m -- python report.py")
    if values["idle_kill"] and values["idle"] is None:
        raise UsageError("--idle-kill needs --idle-timeout")
    name = values["name"] or default_name(argv)
    limit, source = _limit(values)
    return Job(
        name=name,
        named=bool(values["name"]),
        argv=argv,
        limit=limit,
        limit_source=source,
        grace=values["grace"],
        overlap=values["overlap"],
        idle=values["idle"],
        idle_kill=values["idle_kill"],
        watch_threads=not values["no_threads"],
        isolate=values["isolate"],
        verbose=values["verbose"],
    )


def _slots(values: Values) -> Lease | None:
    """The slots that are to be asked for, of which budget. Raises UsageError and BudgetError."""
    if values["slots"] is None:
        if values["budget"] is not None:
            raise UsageError("--budget needs --slots", hint="pgusher run --slots 5 --budget web -- COMMAND")
        return None
    from pgusher.client.budget import Budget
    from pgusher.client.named import budget, budget_names

    name, total = values["budget"] or (None, None)
    if name is None:
        names = budget_names()
        if len(names) != 1:
            known = f"the configuration has {', '.join(names)}" if names else "the configuration has none"
            raise UsageError("--slots needs --budget NAME", detail=known, hint="--budget web=40 has 40 slots")
        (name,) = names
    most = total or budget(name).total
    if values["slots"] > most:
        raise UsageError(f"budget {name} has {most} slots on this host: it never has {values['slots']}")
    # As many are guaranteed to it: an equal share for all could be less for ever.
    return Budget(name, total, minimum=values["slots"]).lease(values["slots"])


def _budget(text: str) -> tuple[str, int | None]:
    name, equals, total = text.partition("=")
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", name) or not (total.isdecimal() or not equals):
        raise ValueError("a name as web, or a name and a total as web=40")
    return name, int(total) if equals else None


def _limit(values: Values) -> tuple[float | None, str]:
    """The time limit, and where it comes from when nobody said it."""
    if values["limit"] is not None:
        return (None if values["limit"] == NO_LIMIT else values["limit"]), ""
    from pgusher.app.run_limit import limit_from_schedule

    found = limit_from_schedule()
    return (span(found.limit), found.source) if found is not None else (None, "")


def _tell(context: Context, job: Job, ended: Ended) -> None:
    """Only what is wrong: cron mails whatever is printed."""
    lines = []
    if ended.ending == "limit":
        lines.append(f"job {job.name} did not end within {span_text(job.limit or 0)} and was ended")
        if job.limit_source:
            lines.append(f"the limit is nine tenths of {job.limit_source}")
    elif ended.ending == "idle":
        lines.append(f"job {job.name} did nothing for {span_text(job.idle or 0)} and was ended")
    elif ended.ending == "thread":
        lines.append(f"job {job.name} has failed: a thread of it died")
    elif ended.ending == "signal":
        lines.append(f"job {job.name} was ended by a signal to its guard ({ended.exit - 128})")
    elif ended.survivors:
        lines.append(f"job {job.name} has left processes that cannot be ended")
    if lines or ended.evidence:
        _say(context, [*(lines or [f"job {job.name}"]), *ended.evidence])
    if ended.survivors:
        more = len(ended.survivors) - _MOST_PIDS
        told = ", ".join(map(str, ended.survivors[:_MOST_PIDS])) + (f" and {more} more" if more > 0 else "")
        _say(context, [f"KILL has not ended yet: pid {told}", "a process in an uninterruptible sleep ends after it"])
    for warning in ended.warnings:
        _say(context, [f"warning: {warning}"])


_MOST_PIDS = 20


def _say(context: Context, lines: list[str]) -> None:
    head, *rest = [line for line in lines if line]
    context.narrate("\n".join([f"pgusher: {head}", *(f"DETAIL:  {line}" for line in rest)]))


def _evidence(pids: tuple[int, ...]) -> list[str]:
    from pgusher.app.run_evidence import evidence

    return evidence(pids)


def _traffic(pids: Collection[int]) -> int | None:
    from pgusher.collect.sockets.traffic import bytes_moved

    return bytes_moved(pids)


def _address(text: str) -> str:
    from pgusher.guard.tell import web_address

    return web_address(text).rstrip("/")


_UNITS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400}


def span(text: str) -> float:
    """ "90", "1.5s", "9m", "2h", "1d" in seconds. Raises ValueError."""
    found = re.fullmatch(r"(\d{1,9}(?:\.\d{1,3})?)([smhd]?)", text)
    if found is None or float(found[1]) == 0:
        raise ValueError("a time above 0 as 90, 90s, 9m, 2h or 1d")
    return float(found[1]) * _UNITS[found[2]]


NO_LIMIT = 0.0


def limit(text: str) -> float:
    """As `span`; "none" is NO_LIMIT. Raises ValueError."""
    return NO_LIMIT if text == "none" else span(text)


def span_text(seconds: float) -> str:
    """ "9m"."""
    for letter, size in (("d", 86400), ("h", 3600), ("m", 60)):
        if seconds >= size and seconds % size == 0:
            return f"{seconds / size:g}{letter}"
    return f"{seconds:g}s"


def _name(text: str) -> str:
    if re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", text) is None:
        raise ValueError("letters, digits and . _ - only, 64 at most")
    return text


COMMAND = Command(
    name="run",
    summary="run a job so that it ends in time, is alone, and leaves nothing behind",
    description=(
        "Runs a command with a time limit, never twice at once, and ends all that it has started when it ends: also "
        "children that ignore TERM or have become daemons. A thread that dies in a Python job makes the run a failed "
        "one. Output passes unchanged; the guard itself prints only what is wrong. The exit code is the job's own; "
        "124 at the limit, 75 when it was not started since it runs already, 125 when the guard failed, 126 and 127 as "
        "in a shell, 128 and the signal's number when the guard was told to end. Without --timeout the limit is nine "
        "tenths of the shortest pause in the schedule of the crontab line or timer that started it; there is none when "
        "it was started otherwise. See docs/run.md."
    ),
    options=(
        Option("limit", ("-t", "--timeout"), "end the job after that time, and say what it waited for; or none", "TIME",
               parse=limit, group="When it ends"),
        Option("grace", ("--grace",), "between TERM and KILL (default 10s); after a thread's death 5s at most", "TIME",
               parse=span, default=10.0, group="When it ends"),
        Option("idle", ("--idle-timeout",), "tell when it has no output, CPU, disk, network for so long", "TIME",
               parse=span, group="When it ends"),
        Option("idle_kill", ("--idle-kill",), "and end it then", default=False, group="When it ends"),
        Option("no_threads", ("--no-fail-on-thread-error",), "a thread that dies in its Python is no failure",
               default=False, group="When it ends"),
        Option("overlap", ("--overlap",), "when it runs already: skip (default), wait, or replace that run", "HOW",
               choices=("skip", "wait", "replace"), default="skip", group="How it runs"),
        Option("name", ("-n", "--name"), "what the job is called (default: its script)", "NAME", parse=_name,
               group="How it runs"),
        Option("isolate", ("--isolate",), "in a PID namespace: nothing survives, even if the guard is killed",
               default=False, group="How it runs"),
        Option("slots", ("--slots",), "take so many of its budget first; wait, or exit 75 and say who has them", "N",
               parse=whole(1, 10000, "1 to 10000"), group="How it runs"),
        Option("budget", ("--budget",), "which budget (default: the only one of the configuration)", "NAME[=TOTAL]",
               parse=_budget, group="How it runs"),
        Option("dsn", ("--dsn",), "the server that is asked, at its end, whether a session of it is left", "DSN",
               group="How it runs"),
        Option("on_failure", ("--on-failure",), "run by the shell when it did not end well; evidence is its input",
               "COMMAND", group="Who is told"),
        Option("ping", ("--ping",), "asked for as URL/start, then as URL or URL/fail, as healthchecks do", "URL",
               parse=_address, group="Who is told"),
        Option("webhook", ("--webhook",), "gets JSON when it did not end well", "URL", parse=_address,
               group="Who is told"),
        Option("textfile", ("--textfile",), "the node exporter's directory for figures of each run", "DIR",
               group="Who is told", files=True),
        Option("verbose", ("-v", "--verbose"), "tell on standard error what the guard goes without, and why",
               default=False, group="Who is told"),
        *GENERAL,
    ),
    argument=Argument("command", "-- COMMAND", "the command and its words", many=True, verbatim=True),
    run=run,
    examples=(
        ("pgusher run --timeout 9m -- python version_history.py", "in a crontab"),
        ("pgusher run --overlap wait --name report -- sh -c 'make report'", "one after the other"),
        ("pgusher jobs", "what became of the runs"),
    ),
)  # fmt: skip
