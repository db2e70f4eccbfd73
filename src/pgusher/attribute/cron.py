"""A process and the cron job that it is a run of.

The shapes are Debian's (`cron -f`, its child `CRON -f` for each running job, `/bin/sh -c COMMAND`, the job), those of
cronie, busybox, supercronic, anacron, at and run-parts; where a shell has given its place to the job, or a job has left
its parent, the link is weaker and says so.
"""

from __future__ import annotations

from dataclasses import dataclass

from pgusher.attribute.command import words_label
from pgusher.attribute.crontab import Crontab, Job
from pgusher.attribute.places import AT_UNITS, CRON_UNITS, Place
from pgusher.attribute.shell import SHELLS, basename
from pgusher.attribute.tree import Lineage, Tree, is_init, orphaned
from pgusher.model.evidence import Certainty
from pgusher.model.process import Process

_RUNNERS = frozenset(
    {"cron", "crond", "CRON", "CROND", "fcron", "supercronic", "anacron", "atd", "dcron", "bcron-exec"}
)


@dataclass(frozen=True, slots=True)
class Run:
    """One run of a job, and how it is known."""

    jobs: tuple[Job, ...]
    """The job; several when the evidence fits several; none when no crontab line was found."""
    certainty: Certainty
    evidence: str
    top: Process
    """The topmost process of the run: the shell that cron started, or what has taken its place."""
    identity: tuple[int, ...]
    command: str
    """What is run, for a person, when there is no job."""
    label: str
    conflicts: tuple[str, ...] = ()
    at: bool = False
    """True for an at job."""


def is_runner(process: Process) -> bool:
    """Whether it is a cron daemon, or the process that one keeps for each run."""
    if not process.argv:
        return process.comm in _RUNNERS
    name = basename(process.argv[0])
    if name == "busybox" and len(process.argv) > 1:
        name = process.argv[1]
    return name in _RUNNERS


class CronRuns:
    """Finds runs among the processes of one tree."""

    def __init__(self, tree: Tree, crontab: Crontab) -> None:
        self._tree = tree
        self._crontab = crontab
        self.family: tuple[tuple[int, int], ...] = ()
        """Everything that descends from a cron daemon, by pid and start: what an orphan may be tied to."""
        self._sessions: dict[int, dict[tuple[int, ...], Run]] = {}
        self._audits: dict[int, dict[tuple[int, ...], Run]] = {}
        if any(process.comm in _RUNNERS or is_runner(process) for process in tree.by_pid.values()):
            self._gather()

    def _gather(self) -> None:
        members = []
        for process in self._tree.by_pid.values():
            lineage = self._tree.lineage(process)
            at = runner_above(lineage)
            if at is None:
                continue
            members.append((process.pid, process.start_ticks))
            run = self.above(lineage, at)
            daemon = _daemon(lineage)
            # Where cron opens no session of its own for a run, the daemon's ties everything to everything.
            if process.sid > 1 and process.sid != daemon.sid:
                self._sessions.setdefault(process.sid, {})[run.identity] = run
            audit = process.audit_session
            if audit is not None and audit != daemon.audit_session:
                self._audits.setdefault(audit, {})[run.identity] = run
        self.family = tuple(sorted(members))

    def above(self, lineage: Lineage, at: int) -> Run:
        """The run of a process that descends from the cron daemon `lineage[at]`."""
        runner, top = lineage[at], lineage[at - 1]
        under = f"pid {top.pid} is a child of {_called(runner)} (pid {runner.pid})"
        parts = next((i for i in range(1, at) if _is_run_parts(lineage[i])), None)
        if parts is not None:
            return self._script(lineage[parts - 1], lineage[parts])
        identity = (top.pid, top.start_ticks)
        if _called(runner) == "atd":
            return self._at(top, identity, under)
        argv = top.argv
        if len(argv) >= 3 and basename(argv[0]).removeprefix("-") in SHELLS and argv[1] == "-c":
            mine, others = self._crontab.with_command(argv[2], top.user)
            if mine:
                evidence = f"{under}, and its command is that of {_places(mine)}"
                return Run(tuple(mine), Certainty.PROVEN, evidence, top, identity, argv[2], mine[0].label)
            wrong = tuple(f"{job.places} has this command, but for {job.entries[0].user}" for job in others)
            evidence = f"{under}; no crontab line that was read has its command"
            return Run((), Certainty.PROVEN, evidence, top, identity, argv[2], "", wrong)
        jobs = self._crontab.with_argv(argv, top.user)
        if jobs:
            evidence = f"{under}, and its command line is what {_places(jobs)} becomes when the shell makes way for it"
            return Run(tuple(jobs), Certainty.LIKELY, evidence, top, identity, " ".join(argv), jobs[0].label)
        evidence = f"{under}; no crontab line that was read becomes its command line"
        return Run(
            (), Certainty.PROVEN, evidence, top, identity, " ".join(argv), words_label(argv) if argv else top.comm
        )

    def _script(self, script: Process, parts: Process) -> Run:
        identity = (script.pid, script.start_ticks)
        directory = parts.argv[-1].rstrip("/") if parts.argv else ""
        under = f"pid {script.pid} is a child of run-parts (pid {parts.pid})"
        for word in script.argv[:3]:
            job = self._crontab.script(word)
            if job is not None:
                return Run((job,), Certainty.PROVEN, f"{under}, and runs {word}", script, identity, word, job.label)
        path = next((word for word in script.argv[:3] if directory and word.startswith(f"{directory}/")), "")
        command = path or " ".join(script.argv) or script.comm
        label = basename(path) if path else words_label(script.argv) if script.argv else script.comm
        return Run((), Certainty.PROVEN, f"{under} of {directory or 'a directory'}", script, identity, command, label)

    def _at(self, top: Process, identity: tuple[int, ...], under: str) -> Run:
        jobs = [job for job in self._crontab.at if job.entries[0].user in (None, top.user)]
        certainty = Certainty.GUESSED if len(jobs) > 1 else Certainty.LIKELY
        if not jobs:
            return Run((), Certainty.PROVEN, f"{under}; its job is not in the spool", top, identity, "", "job", at=True)
        evidence = f"{under}, and {top.user or 'its user'} has {len(jobs)} at job{'s' if len(jobs) > 1 else ''}"
        return Run(tuple(jobs), certainty, evidence, top, identity, jobs[0].entries[0].command, jobs[0].label, at=True)

    def orphan(self, lineage: Lineage, place: Place) -> Run | None:
        """The run that a process has left, as far as anything still ties it to one; never PROVEN.

        A `( command & )` or a setsid child is handed to init when its shell ends: its session, its audit session and
        the cgroup of cron.service remain.
        """
        process = lineage[0]
        if process.tty or not orphaned(lineage):
            return None
        for ties, number, what in (
            (self._sessions, process.sid, "session"),
            (self._audits, process.audit_session, "audit session"),
        ):
            runs = ties.get(number) if number is not None else None
            found = {job for run in runs.values() for job in run.jobs} if runs else set()
            if runs and (len(runs) == 1 or len(found) == 1):
                run = runs[min(runs)]
                evidence = f"pid {process.pid} has left its parent, but is of {what} {number}"
                evidence += f", as is the run of pid {run.top.pid}"
                return Run(run.jobs, _weaker(run.certainty), evidence, run.top, run.identity, run.command, run.label)
        top = [ancestor for ancestor in lineage if not is_init(ancestor)][-1]
        argv = top.argv or process.argv
        identity = (top.pid, top.start_ticks)
        jobs = self._crontab.with_argv(argv, top.user)
        if place.launcher in CRON_UNITS | AT_UNITS:
            inside = f"pid {top.pid} has left its parent, and is in the cgroup of {place.launcher}"
            label = words_label(argv) if argv else top.comm
            if not jobs:
                evidence = f"{inside}; no crontab line that was read contains its command line"
                return Run((), Certainty.LIKELY, evidence, top, identity, " ".join(argv), label)
            certainty = Certainty.LIKELY if len(jobs) == 1 else Certainty.GUESSED
            evidence = f"{inside}; its command line is in {_places(jobs)}"
            return Run(tuple(jobs), certainty, evidence, top, identity, " ".join(argv), jobs[0].label)
        if jobs and not place.telling and self._alone(process):
            evidence = (
                f"pid {top.pid} has left its parent, and its command line is in {_places(jobs)}; nothing else ties it"
            )
            return Run(tuple(jobs), Certainty.GUESSED, evidence, top, identity, " ".join(argv), jobs[0].label)
        return None

    def _alone(self, process: Process) -> bool:
        """Whether the leader of its session is gone, or itself: a person's shell that still lives would say more."""
        leader = self._tree.by_pid.get(process.sid)
        return leader is None or leader.pid == process.pid or not leader.tty


def runner_above(lineage: Lineage) -> int | None:
    """How far above a process the nearest cron daemon is; None when there is none."""
    return next((at for at, process in enumerate(lineage) if at and is_runner(process)), None)


def _daemon(lineage: Lineage) -> Process:
    """The topmost cron process of a lineage: the daemon itself, not what it keeps for each run."""
    return [process for process in lineage if is_runner(process)][-1]


def _called(runner: Process) -> str:
    name = basename(runner.argv[0]) if runner.argv else runner.comm
    return runner.argv[1] if name == "busybox" and len(runner.argv) > 1 else name


def _is_run_parts(process: Process) -> bool:
    return process.comm == "run-parts" or any(basename(word) == "run-parts" for word in process.argv[:2])


def _weaker(certainty: Certainty) -> Certainty:
    return Certainty.weakest(certainty, Certainty.LIKELY)


def _places(jobs: list[Job]) -> str:
    return " or ".join(job.places for job in jobs)
