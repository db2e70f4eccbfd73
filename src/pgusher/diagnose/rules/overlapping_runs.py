"""several runs of one cron job hold slots at the same time."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby

from pgusher.diagnose.room import Room
from pgusher.diagnose.runs import Run
from pgusher.diagnose.text import count, span
from pgusher.model.address import Micros
from pgusher.model.evidence import Certainty
from pgusher.model.findings import Evidence, Finding, Remedy, Safety, Severity

WORST = Severity.CRITICAL

YIELDS_TO = ("stuck-job", "dead-thread-holds-slots")


def check(runs: tuple[Run, ...], now: Micros, room: Room | None = None) -> Iterator[Finding]:
    """More runs of a job than there are lines that start it."""
    for name, group in groupby(runs, key=lambda run: run.holder):
        of_job = list(group)
        if len(of_job) > max(1, len(of_job[0].entries)):
            yield _finding(name, of_job, now, room)


def _finding(name: str, runs: list[Run], now: Micros, room: Room | None) -> Finding:
    oldest, older = runs[0], runs[:-1]
    slots = sum(len(run.sessions) for run in older)
    age = span(now - oldest.started)
    told = [f"pid {run.top} for {span(now - run.started)}, {count(len(run.sessions), 'session')}" for run in runs[:8]]
    return Finding(
        "overlapping-runs",
        room.severity(slots) if room is not None else Severity.WARNING,
        Certainty.weakest(*(run.certainty for run in runs)),
        name,
        f"cron job {name.partition('/')[2]}: {len(runs)} runs at once, the oldest for {age}",
        detail=(*((f"It is started {oldest.often}.",) if oldest.often else ()), f"Its runs: {'; '.join(told)}."),
        evidence=tuple(Evidence(f"pid {run.top} is a run of it", run.certainty) for run in runs[:8]),
        remedies=(
            Remedy("put flock -n FILE before its command: no run starts while one is left", Safety.SAFE),
            Remedy(f"start it less often, or make it quicker: {_where(oldest)}", Safety.SAFE),
        ),
        holder=name,
        sessions=tuple(s.pid for run in runs for s in run.sessions),
        processes=tuple(pid for run in runs for pid in run.processes),
        slots=slots,
        since=runs[1].started,
    )


def _where(run: Run) -> str:
    if not run.entries:
        return "its crontab"
    entry = run.entries[0]
    return f"{entry.file}:{entry.line}" if entry.line else entry.file
