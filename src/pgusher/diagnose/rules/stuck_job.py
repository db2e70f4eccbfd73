"""a run of a cron job is older than its schedule explains, and says nothing to the server."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import groupby

from pgusher.diagnose.remedies import end_processes, look
from pgusher.diagnose.room import Room
from pgusher.diagnose.runs import Run
from pgusher.diagnose.stuck import is_stuck
from pgusher.diagnose.text import count, fit, listed, span
from pgusher.model.address import Micros
from pgusher.model.evidence import Certainty
from pgusher.model.findings import Evidence, Finding, Remedy, Safety, Severity

WORST = Severity.CRITICAL

RATIO = 2.0
"""How many times its schedule must have come round since it started."""


def check(
    runs: tuple[Run, ...], quiet: Mapping[int, Micros], now: Micros, ratio: float, room: Room | None = None
) -> Iterator[Finding]:
    """One finding for each job that has such runs."""
    for name, group in groupby(runs, key=lambda run: run.holder):
        of_job = list(group)
        stuck = [run for run in of_job if is_stuck(run, quiet, now, ratio)]
        if stuck:
            yield _finding(name, stuck, of_job, quiet, now, room)


def _finding(
    name: str, stuck: list[Run], of_job: list[Run], quiet: Mapping[int, Micros], now: Micros, room: Room | None
) -> Finding:
    oldest = stuck[0]
    sessions = sorted((s for run in stuck for s in run.sessions), key=lambda s: (s.backend_start or 0, s.pid))
    age = span(now - oldest.started)
    runs = "its run is stuck" if len(of_job) == 1 else f"{len(stuck)} of {len(of_job)} runs stuck, the oldest"
    message = f"cron job {name.partition('/')[2]}: {runs} for {age}"
    silent = min(quiet[s.pid] for s in sessions)
    detail = [f"It is started {oldest.often}."] if oldest.often else []
    detail += [f"{count(len(sessions), 'session')} idle, each for {span(silent)} or longer."]
    if len(of_job) > len(stuck):
        detail.append(f"{count(len(of_job) - len(stuck), 'further run')} of it may be at work.")
    lines = listed([f"{entry.file}:{entry.line}" if entry.line else entry.file for entry in oldest.entries])
    pids = tuple(pid for run in stuck for pid in run.processes)
    evidence = (
        Evidence(f"pid {oldest.top} is a run of {lines}", oldest.certainty),
        Evidence(f"it is {age} old, and the longest pause of its schedule is {span(oldest.pause or 0)}"),
        Evidence(f"none of its sessions has sent a statement for {span(silent)}"),
    )
    return Finding(
        "stuck-job",
        room.severity(len(sessions)) if room is not None else Severity.WARNING,
        # That it will never go on is concluded: only its threads could prove it.
        Certainty.weakest(Certainty.LIKELY, *(run.certainty for run in stuck)),
        name,
        fit(message),
        detail=tuple(detail),
        evidence=evidence,
        remedies=(
            look(name, why=True),
            end_processes(
                pids, f"what it had not finished since it started {age} ago", "end the run, not the shell above it"
            ),
            Remedy(f"let no run start while one is left: flock -n FILE before its command in {lines}", Safety.SAFE),
        ),
        holder=name,
        sessions=tuple(s.pid for s in sessions),
        processes=pids,
        slots=len(sessions),
        since=oldest.started,
    )
