"""a run of a cron job is older than its schedule explains, and says nothing to the server."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import groupby

from pgusher.diagnose.hung import basename, behind, certainty_of, evidence_of, sentences, surest
from pgusher.diagnose.remedies import end_processes, look
from pgusher.diagnose.room import Room
from pgusher.diagnose.runs import Run
from pgusher.diagnose.stuck import is_stuck
from pgusher.diagnose.text import WIDTH, count, listed, span
from pgusher.model.address import Micros
from pgusher.model.evidence import Certainty
from pgusher.model.findings import Evidence, Finding, Remedy, Safety, Severity
from pgusher.model.stacks import Hang, ProcessStacks

WORST = Severity.CRITICAL

RATIO = 2.0
"""How many times its schedule must have come round since it started."""


def check(
    runs: tuple[Run, ...],
    quiet: Mapping[int, Micros],
    now: Micros,
    ratio: float,
    room: Room | None = None,
    hangs: tuple[Hang, ...] = (),
    stacks: tuple[ProcessStacks, ...] = (),
) -> Iterator[Finding]:
    """One finding for each job that has such runs. One of which a thread moved while it was looked at is at work."""
    moving = {hang.pid for hang in hangs if hang.still is False}
    moving.update(process.pid for process in stacks if any(thread.busy for thread in process.threads))
    known = {hang.pid: hang for hang in hangs}
    for name, group in groupby(runs, key=lambda run: run.holder):
        of_job = list(group)
        stuck = [run for run in of_job if is_stuck(run, quiet, now, ratio) and not moving.intersection(run.processes)]
        if stuck:
            mine = [known[pid] for run in stuck for pid in run.processes if pid in known]
            # Of several runs, the one that the others wait for tells why.
            hang = surest([one for one in mine if behind(one, known) is None] or mine)
            yield _finding(name, stuck, len(of_job), quiet, now, room, hang)


def _finding(
    name: str,
    stuck: list[Run],
    total: int,
    quiet: Mapping[int, Micros],
    now: Micros,
    room: Room | None,
    hang: Hang | None,
) -> Finding:
    oldest = stuck[0]
    sessions = sorted((s for run in stuck for s in run.sessions), key=lambda s: (s.backend_start or 0, s.pid))
    age = span(now - oldest.started)
    runs = f"its run is stuck for {age}" if total == 1 else f"{len(stuck)} of {total} runs stuck for up to {age}"
    message = f"cron job {name.partition('/')[2]}: {runs}"
    if (
        hang is not None
        and hang.file
        and len(place := f" at {basename(hang.file)}:{hang.line}") + len(message) <= WIDTH
    ):
        message += place
    silent = min(quiet[s.pid] for s in sessions)
    detail = [f"It is started {oldest.often}."] if oldest.often else []
    detail += [f"{count(len(sessions), 'session')} idle, each for {span(silent)} or longer."]
    if total > len(stuck):
        detail.append(f"{count(total - len(stuck), 'further run')} of it may be at work.")
    lines = listed([f"{entry.file}:{entry.line}" if entry.line else entry.file for entry in oldest.entries])
    pids = tuple(pid for run in stuck for pid in run.processes)
    if hang is not None:
        detail += sentences(hang)
    evidence = (
        Evidence(f"pid {oldest.top} is a run of {lines}", oldest.certainty),
        Evidence(f"it is {age} old, and the longest pause of its schedule is {span(oldest.pause or 0)}"),
        Evidence(f"none of its sessions has sent a statement for {span(silent)}"),
        *(evidence_of(hang) if hang is not None else ()),
    )
    return Finding(
        "stuck-job",
        room.severity(len(sessions)) if room is not None else Severity.WARNING,
        # That it will never go on is concluded: only its threads can prove it.
        Certainty.weakest(
            Certainty.PROVEN if hang is not None and certainty_of(hang) is Certainty.PROVEN else Certainty.LIKELY,
            *(run.certainty for run in stuck),
        ),
        name,
        message,
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
        file=hang.file if hang is not None else None,
        line=hang.line if hang is not None else None,
        thread=hang.thread if hang is not None else None,
    )
