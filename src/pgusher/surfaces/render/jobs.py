"""The screens of `pgusher jobs`: the jobs, what became of their last runs, and what runs now."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from pgusher.model.address import Micros
from pgusher.surfaces.render import words
from pgusher.surfaces.render.asjson import SCHEMA
from pgusher.surfaces.render.chains import labelled, wrap
from pgusher.surfaces.render.screen import BLANK, Line, Screen, Span
from pgusher.surfaces.render.table import Cell, Column, table


class Run(Protocol):
    """One run, as `pgusher.guard.history_entry` has it."""

    @property
    def run(self) -> str:
        """Its id."""

    @property
    def job(self) -> str:
        """The job's name."""

    @property
    def command(self) -> str:
        """Without secrets."""

    @property
    def started(self) -> Micros:
        """When."""

    @property
    def ending(self) -> str:
        """ "done", "failed", "limit", "running", ..."""

    @property
    def ended(self) -> Micros | None:
        """When; None while it runs."""

    @property
    def duration(self) -> Micros | None:
        """How long."""

    @property
    def exit(self) -> int | None:
        """The exit code that the guard gave."""

    @property
    def limit(self) -> Micros | None:
        """Its time limit."""

    @property
    def limit_source(self) -> str:
        """Where that comes from; "" when it was given."""

    @property
    def peak_slots(self) -> int | None:
        """The most sessions it had."""

    @property
    def peak_memory(self) -> int | None:
        """The most bytes it had."""

    @property
    def evidence(self) -> tuple[str, ...]:
        """Why it did not end well."""

    @property
    def guard_pid(self) -> int:
        """The guard's."""

    @property
    def output(self) -> str:
        """The file with the last part of its output; "" when it is not kept."""

    @property
    def good(self) -> bool:
        """Whether it ended as it should, or still may."""


_JOBS = (
    Column("job"), Column("now"), Column("last start", drop=1), Column("ending"), Column("took", right=True),
    Column("slots", right=True, optional=True, drop=3), Column("memory", right=True, optional=True, drop=4),
    Column("runs", right=True, drop=2), Column("bad", right=True, drop=2),
)  # fmt: skip
_RUNS = (
    Column("start"), Column("ending"), Column("exit", right=True), Column("took", right=True),
    Column("slots", right=True, optional=True, drop=3), Column("memory", right=True, optional=True, drop=4),
    Column("run", drop=1), Column("why", least=10, optional=True),
)  # fmt: skip


def jobs_page(
    screen: Screen,
    last: Mapping[str, Run],
    running: Sequence[Run],
    counts: Mapping[str, tuple[int, int]],
    now: Micros,
) -> list[Line]:
    """A line for each job: what runs first, then the last to have run."""
    if not last and not running:
        return [] if screen.pipe else [[("no run of a job is on record yet", "")]]
    alive = {run.job: run for run in running if run.ending == "running"}
    names = sorted({*last, *alive, *(run.job for run in running)}, key=lambda name: _rank(name, alive, last))
    rows: list[list[Cell]] = []
    for name in names:
        one, ended = alive.get(name), last.get(name)
        runs, bad = counts.get(name, (0, 0))
        since = "" if one is None else words.iso(one.started) if screen.pipe else f"runs {words.age(one.started, now)}"
        state = (since, "bold")
        rows.append([(name, "name"), state, *_cells(screen, ended, now), str(runs), (str(bad), "warn" if bad else "")])
    lines = list(table(screen, _JOBS, rows))
    if not screen.pipe:
        lines += [BLANK, [("pgusher jobs show JOB", "command"), ("  its runs, and why they ended as they did", "")]]
    return lines


def _rank(name: str, alive: Mapping[str, Run], last: Mapping[str, Run]) -> tuple[int, int, str]:
    return (0 if name in alive else 1, -(last[name].started if name in last else 0), name)


def _cells(screen: Screen, run: Run | None, now: Micros) -> list[Span]:
    if run is None:
        return [("", "")] * 5
    when = words.iso(run.started) if screen.pipe else f"{words.age(run.started, now)} ago"
    return [(when, ""), *_how(run)]


def _how(run: Run) -> list[Span]:
    style = "good" if run.ending == "done" else "" if run.good else "alarm"
    slots = "" if run.peak_slots is None else str(run.peak_slots)
    return [(run.ending, style), (took(run.duration), ""), (slots, ""), (memory(run.peak_memory), "")]


def job_page(screen: Screen, name: str, runs: Sequence[Run], now: Micros, every: bool = False) -> list[Line]:
    """The runs of one job, the newest first, and what is known of the last that did not end well."""
    rows: list[list[Cell]] = []
    for run in runs:
        ending, length, slots, size = _how(run)
        code = "" if run.exit is None else str(run.exit)
        start = words.iso(run.started) if screen.pipe else words.iso(run.started)[:19].replace("T", " ")
        why = " | ".join(run.evidence) if screen.pipe else (run.evidence[0] if run.evidence else "")
        length = (took(now - run.started), "") if run.ending == "running" else length
        rows.append([start, ending, code, length, slots, size, run.run, why])
    lines = list(table(screen, _RUNS, rows))
    if screen.pipe:
        return lines
    shown = [run for run in runs if run.evidence]
    for run in shown if every else shown[:1]:
        lines += [BLANK, [(f"run {run.run}: {run.ending}", "bold")]]
        for text in run.evidence:
            lines += [[("  ", ""), (part, "")] for part in wrap(screen, text, 2)]
    if runs:
        lines += [BLANK, *labelled(screen, "command", runs[0].command, "", True)]
        if (limit := runs[0].limit) is not None:
            source = f": nine tenths of {runs[0].limit_source}" if runs[0].limit_source else ""
            lines += labelled(screen, "limit", f"{took(limit)}{source}", "", True)
    if any(run.ending == "running" and run.output for run in runs):
        lines += labelled(screen, "output", f"pgusher jobs tail {name}", "command", True)
    return lines


def took(duration: Micros | None) -> str:
    """ "0.4 s", "12 s", "9 min 30 s"."""
    if duration is None:
        return ""
    tenths = max(0, duration) // 100_000
    if tenths < 100:
        return f"{tenths // 10}.{tenths % 10} s"
    seconds = tenths // 10
    if seconds < 60:
        return f"{seconds} s"
    if seconds < 3600:
        return f"{seconds // 60} min {seconds % 60} s"
    if seconds < 2 * 86400:
        return f"{seconds // 3600} h {seconds // 60 % 60} min"
    return f"{seconds // 86400} d {seconds // 3600 % 24} h"


def memory(size: int | None) -> str:
    """ "31 MiB"."""
    if size is None:
        return ""
    return f"{size >> 20} MiB" if size < 10 << 30 else f"{size >> 30} GiB"


def jobs_json(last: Mapping[str, Run], running: Sequence[Run], counts: Mapping[str, tuple[int, int]]) -> dict[str, Any]:
    """What `pgusher jobs --json` prints."""
    names = sorted({*last, *(run.job for run in running)})
    return {
        "schema": SCHEMA,
        "kind": "jobs",
        "jobs": [
            {
                "name": name,
                "runs": counts.get(name, (0, 0))[0],
                "bad": counts.get(name, (0, 0))[1],
                "running": [run_json(run) for run in running if run.job == name and run.ending == "running"],
                "last": run_json(last[name]) if name in last else None,
            }
            for name in names
        ],
    }


def job_json(name: str, runs: Sequence[Run]) -> dict[str, Any]:
    """What `pgusher jobs show NAME --json` prints."""
    return {"schema": SCHEMA, "kind": "job", "name": name, "runs": [run_json(run) for run in runs]}


def output_json(run: Run, text: str) -> dict[str, Any]:
    """What `pgusher jobs tail NAME --json` prints."""
    return {"schema": SCHEMA, "kind": "output", "run": run_json(run), "output": text}


def run_json(run: Run) -> dict[str, Any]:
    """One run."""
    return {
        "run": run.run,
        "job": run.job,
        "command": run.command,
        "started": words.iso(run.started) or None,
        "ended": words.iso(run.ended) or None,
        "ending": run.ending,
        "exit": run.exit,
        "duration_ms": None if run.duration is None else run.duration // 1000,
        "limit_ms": None if run.limit is None else run.limit // 1000,
        "limit_source": run.limit_source or None,
        "peak_slots": run.peak_slots,
        "peak_memory": run.peak_memory,
        "guard_pid": run.guard_pid,
        "evidence": list(run.evidence),
    }
