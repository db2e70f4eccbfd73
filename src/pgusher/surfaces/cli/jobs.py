"""`pgusher jobs`: the jobs, what became of their last runs, what runs now."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, Any

from pgusher.errors import PgusherError, UsageError
from pgusher.surfaces.cli.common import GENERAL, PRINT
from pgusher.surfaces.cli.context import Context
from pgusher.surfaces.cli.options import Argument, Command, Option, Values, meant, shown, whole

if TYPE_CHECKING:
    from pgusher.guard.history import History
    from pgusher.guard.history_entry import Entry

_MOST_OUTPUT = 1 << 20


def run(values: Values, context: Context) -> int:
    """Lists the jobs, shows one, or prints the last output of one that runs. Exit code 1 for a last run that failed."""
    from pgusher.guard.history import open_history

    history = open_history()
    verb, *names = values["words"] or ["list"]
    try:
        if verb == "list" and not names:
            return _list(values, context, history)
        if verb in {"show", "tail"}:
            if len(names) != 1:
                raise UsageError(f"pgusher jobs {verb} takes the name of one job", hint="all jobs: pgusher jobs")
            return (_show if verb == "show" else _tail)(values, context, history, names[0])
    except OSError as error:
        why = (error.strerror or str(error)).lower()
        raise PgusherError(f"could not read the history of jobs: {why}", detail=history.path) from None
    raise UsageError(
        f"{shown(verb)} is nothing that pgusher jobs does", hint=meant(verb, ["show", "tail"]) or "pgusher jobs --help"
    )


def _list(values: Values, context: Context, history: History) -> int:
    last, running, counts = history.last(), history.running(), history.counts()
    if values["json"]:
        from pgusher.surfaces.render.jobs import jobs_json

        _print(context, jobs_json(last, running, counts))
    else:
        from pgusher.surfaces.render.jobs import jobs_page

        screen = context.out.screen(values["color"], values["plain"], values["width"])
        context.out.write(screen.page(jobs_page(screen, last, running, counts, _now())))
    # Exit code 1 is for findings: that a run was skipped tells of the one that was there, not of how one ended.
    return int(any(not entry.good for entry in history.last(skipped=False).values()))


def _show(values: Values, context: Context, history: History, name: str) -> int:
    running = [entry for entry in history.running() if entry.job == name and entry.ending == "running"]
    runs = [*reversed(running), *history.entries(name, values["most"])]
    if not runs:
        raise _unknown(history, name)
    if values["json"]:
        from pgusher.surfaces.render.jobs import job_json

        _print(context, job_json(name, runs))
    else:
        from pgusher.surfaces.render.jobs import job_page

        screen = context.out.screen(values["color"], values["plain"], values["width"])
        context.out.write(screen.page(job_page(screen, name, runs, _now(), values["verbose"])))
    ended = next((entry for entry in runs if entry.ending not in {"running", "skipped"}), None)
    return int(ended is not None and not ended.good)


def _tail(values: Values, context: Context, history: History, name: str) -> int:
    running = [entry for entry in history.running() if entry.job == name and entry.ending == "running"]
    if not running:
        if name not in history.last():
            raise _unknown(history, name)
        raise UsageError(f"job {shown(name)} does not run now", hint=f"its last runs: pgusher jobs show {name}")
    entry = running[-1]
    raw = _output(entry)
    if values["json"]:
        from pgusher.surfaces.render.jobs import output_json

        _print(context, output_json(entry, raw.decode("utf-8", "replace")))
        return 0
    screen = context.out.screen(values["color"], values["plain"], values["width"])
    lines = raw.decode("utf-8", "backslashreplace").split("\n")
    if lines and not lines[-1]:
        lines.pop()
    context.out.write("".join(screen.text(line) + "\n" for line in lines))
    return 0


def _output(entry: Entry) -> bytes:
    if not entry.output:
        raise PgusherError(
            f"the output of job {shown(entry.job)} is not kept",
            detail="it goes straight to where the guard's own output goes",
        )
    fd = os.open(entry.output, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
    with os.fdopen(fd, "rb") as file:
        return file.read(_MOST_OUTPUT)


def _unknown(history: History, name: str) -> UsageError:
    known = {*history.last(), *(entry.job for entry in history.running())}
    return UsageError(f"no run of a job {shown(name)} is known", hint=meant(name, known) or "all jobs: pgusher jobs")


def _print(context: Context, data: Any) -> None:
    import json

    context.out.write(json.dumps(data) + "\n")


def _now() -> int:
    return time.time_ns() // 1000


COMMAND = Command(
    name="jobs",
    summary="the jobs, their last runs, and what runs now",
    description=(
        "Lists the jobs that were run by pgusher run, or have pgusher.job in the program: how the last run ended, how "
        "long it took, and how much memory it had at most. show NAME gives the runs of one job, with the evidence of "
        "those that did not end well; tail NAME prints the last output of one that is under way. Each user has a "
        "history of their own."
    ),
    options=(
        Option("most", ("-n", "--last"), "so many runs of a job (default 20)", "N",
               parse=whole(1, 10000, "1 to 10000"), default=20, group="What to print"),
        *PRINT,
        *GENERAL,
    ),
    argument=Argument("words", "show|tail NAME", "the runs of one job, or the last output of one that runs", many=True),
    run=run,
    examples=(
        ("pgusher jobs", "all jobs; exit code 1 when the last run of one did not end well"),
        ("pgusher jobs show report", "the last runs of a job"),
        ("pgusher jobs tail report", "what it has printed last"),
    ),
)  # fmt: skip
