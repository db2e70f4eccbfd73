"""A process and the cron job that it is a run of.

The shapes are Debian's (`cron -f`, its child `CRON -f` for each running job, `/bin/sh -c COMMAND`, the job), those of
cronie, busybox, supercronic, anacron, at and run-parts; where a shell has given its place to the job, or a job has left
its parent, the link is weaker and says so.
"""

from __future__ import annotations

from collections import Counter

from pgusher.attribute.command import job_label, words_label
from pgusher.attribute.crontab import Crontab, Job
from pgusher.attribute.looks import Looks
from pgusher.attribute.places import AT_UNITS, CRON_UNITS, Place
from pgusher.attribute.shell import SHELLS, basename
from pgusher.attribute.tree import Lineage, Tree, is_init, orphaned
from pgusher.model.evidence import Certainty
from pgusher.model.process import Process
from pgusher.model.values import dataclass

_PROVEN, _LIKELY, _GUESSED = Certainty.PROVEN, Certainty.LIKELY, Certainty.GUESSED


@dataclass(slots=True, eq=False)
class Run:
    """One run of a job, and how it is known."""

    jobs: tuple[Job, ...]
    """The job; several when the evidence fits several; none when no crontab line was found."""
    certainty: Certainty
    evidence: str
    top: Process
    """The topmost process of the run: the shell that cron started, or what has taken its place."""
    command: str
    """What is run, for a person, when there is no job."""
    label: str = ""
    """The word by which a person knows what is run, when there is no job."""
    conflicts: tuple[str, ...] = ()
    at: bool = False
    """True for an at job."""

    @property
    def identity(self) -> tuple[int, ...]:
        """Two processes are of one run when this is the same."""
        return self.top.pid, self.top.start_ticks


class CronRuns:
    """Finds runs among the processes of one tree."""

    def __init__(self, tree: Tree, crontab: Crontab, looks: Looks) -> None:
        self._tree = tree
        self._crontab = crontab
        self._looks = looks
        self._runners: frozenset[int] | None = None
        self._found: dict[tuple[int, int], Run] = {}
        self._company: tuple[Counter[int], Counter[int | None]] | None = None
        self._ties: tuple[dict[int, list[Run]], dict[int, list[Run]]] | None = None
        self._family: tuple[tuple[int, int], ...] | None = None

    @property
    def family(self) -> tuple[tuple[int, int], ...]:
        """Everything that descends from a cron daemon, by pid and start: what an orphan may be tied to."""
        if self._family is None:
            self._gather()
        assert self._family is not None  # noqa: S101 - _gather sets it
        return self._family

    def runner_above(self, lineage: Lineage) -> int | None:
        """How far above a process the nearest cron daemon is; None when there is none."""
        runners = self._runners
        if runners is None:
            look = self._looks.of
            everybody = self._tree.by_pid.values()
            runners = self._runners = frozenset(process.pid for process in everybody if look(process).runner)
        if runners:
            for at in range(1, len(lineage)):
                if lineage[at].pid in runners:
                    return at
        return None

    def _gather(self) -> None:
        sessions: dict[int, list[Run]] = {}
        audits: dict[int, list[Run]] = {}
        members = []
        for process in sorted(self._tree.by_pid.values(), key=lambda p: p.pid):
            lineage = self._tree.lineage(process)
            at = self.runner_above(lineage)
            if at is None or self._looks.of(process).runner:
                continue  # what cron keeps for a run is no run, though it shares the run's audit session
            members.append((process.pid, process.start_ticks))
            daemon = next(p for p in reversed(lineage) if self._looks.of(p).runner)
            # Where cron opens no session of its own for a run, the daemon's ties everything to everything.
            run = self.above(lineage, at)
            if process.sid > 1 and process.sid != daemon.sid and run not in sessions.get(process.sid, ()):
                sessions.setdefault(process.sid, []).append(run)
            audit = process.audit_session
            if audit is not None and audit != daemon.audit_session and run not in audits.get(audit, ()):
                audits.setdefault(audit, []).append(run)
        self._ties = sessions, audits
        self._family = tuple(members)

    def above(self, lineage: Lineage, at: int) -> Run:
        """The run of a process that descends from the cron daemon `lineage[at]`."""
        top = lineage[at - 1]
        parts = next((i for i in range(1, at) if _is_run_parts(lineage[i])), None)
        key = top.pid, lineage[parts - 1].pid if parts is not None else 0
        run = self._found.get(key)
        if run is None:
            run = self._script(lineage[parts - 1], lineage[parts]) if parts is not None else self._run(top, lineage[at])
            doubt = self._looks.of(lineage[at]).doubt
            if doubt:
                run.certainty, run.evidence = Certainty.weakest(run.certainty, _LIKELY), f"{run.evidence}; {doubt}"
            self._found[key] = run
        return run

    def _run(self, top: Process, runner: Process) -> Run:
        name = self._looks.of(runner).runner
        under = f"pid {top.pid} is a child of {name} (pid {runner.pid})"
        if name == "atd":
            return self._at(top, under)
        argv = top.argv
        if len(argv) >= 3 and argv[1] == "-c" and basename(argv[0]).removeprefix("-") in SHELLS:
            mine, others = self._crontab.with_command(argv[2], top.user)
            if mine:
                return Run(tuple(mine), _PROVEN, f"{under}, and its command is that of {_places(mine)}", top, argv[2])
            wrong = tuple(f"{job.places} has this command, but for {job.entries[0].user}" for job in others)
            evidence = f"{under}; no crontab line that was read has its command"
            return Run((), _PROVEN, evidence, top, argv[2], job_label(argv[2]), wrong)
        jobs = self._crontab.with_argv(argv, top.user)
        if jobs:
            evidence = f"{under}, and its command line is what {_places(jobs)} becomes when the shell makes way for it"
            return Run(tuple(jobs), _LIKELY, evidence, top, " ".join(argv))
        evidence = f"{under}; no crontab line that was read becomes its command line"
        return Run((), _PROVEN, evidence, top, " ".join(argv), words_label(argv) if argv else top.comm)

    def _script(self, script: Process, parts: Process) -> Run:
        directory = parts.argv[-1].rstrip("/") if parts.argv else ""
        under = f"pid {script.pid} is a child of run-parts (pid {parts.pid})"
        for word in script.argv[:3]:
            job = self._crontab.script(word)
            if job is not None:
                return Run((job,), _PROVEN, f"{under}, and runs {word}", script, word)
        path = next((word for word in script.argv[:3] if directory and word.startswith(f"{directory}/")), "")
        command = path or " ".join(script.argv) or script.comm
        label = basename(path) if path else words_label(script.argv) if script.argv else script.comm
        return Run((), _PROVEN, f"{under} of {directory or 'a directory'}", script, command, label)

    def _at(self, top: Process, under: str) -> Run:
        jobs = [job for job in self._crontab.at if job.entries[0].user in (None, top.user)]
        if not jobs:
            return Run((), _PROVEN, f"{under}; its job is not in the spool", top, "", "job", at=True)
        several = len(jobs) > 1
        evidence = f"{under}, and {top.user or 'its user'} has {len(jobs)} at job{'s' if several else ''}"
        return Run(tuple(jobs), _GUESSED if several else _LIKELY, evidence, top, jobs[0].entries[0].command, at=True)

    def orphan(self, lineage: Lineage, place: Place) -> Run | None:
        """The run that a process has left, as far as anything still ties it to one; never PROVEN.

        A `( command & )` or a setsid child is handed to init when its shell ends: its session, its audit session and
        the cgroup of cron.service remain.
        """
        process = lineage[0]
        if process.tty or not orphaned(lineage):
            return None
        tied = self._tied(process)
        if tied is not None:
            return tied
        top = [ancestor for ancestor in lineage if not is_init(ancestor)][-1]
        argv = top.argv or process.argv
        if place.launcher in CRON_UNITS or place.launcher in AT_UNITS:
            inside = f"pid {top.pid} has left its parent, and is in the cgroup of {place.launcher}"
            jobs = self._crontab.with_argv(argv, top.user)
            if not jobs:
                evidence = f"{inside}; no crontab line that was read contains its command line"
                return Run((), _LIKELY, evidence, top, " ".join(argv), words_label(argv) if argv else top.comm)
            evidence = f"{inside}; its command line is in {_places(jobs)}"
            return Run(tuple(jobs), _LIKELY if len(jobs) == 1 else _GUESSED, evidence, top, " ".join(argv))
        if place.telling:
            return None
        jobs = self._crontab.with_argv(argv, top.user)
        if jobs and self._alone(process):
            evidence = f"pid {top.pid} has left its parent, and its command line is in {_places(jobs)}"
            return Run(tuple(jobs), _GUESSED, f"{evidence}; nothing else ties it", top, " ".join(argv))
        return None

    def _tied(self, process: Process) -> Run | None:
        """The run of which a process still shares the session or the audit session."""
        if self._company is None:
            # Most have a session of their own: then there is nothing to look for.
            everybody = self._tree.by_pid.values()
            self._company = Counter(p.sid for p in everybody), Counter(p.audit_session for p in everybody)
        of_session, of_audit = self._company
        if of_session[process.sid] < 2 and (process.audit_session is None or of_audit[process.audit_session] < 2):
            return None
        if self._ties is None:
            self._gather()
        assert self._ties is not None  # noqa: S101 - _gather sets it
        sessions, audits = self._ties
        audit = process.audit_session
        for what, number, runs in (
            ("session", process.sid, sessions.get(process.sid)),
            ("audit session", audit, audits.get(audit) if audit is not None else None),
        ):
            jobs = {run.jobs for run in runs or ()}
            # Several runs are fine when all are of one known job; two unknown ones are not known to be of one.
            if not runs or len(jobs) > 1 or (len(runs) > 1 and () in jobs):
                continue
            run = min(runs, key=lambda run: run.identity)
            evidence = f"pid {process.pid} has left its parent, but is of {what} {number}"
            evidence += f", as is the run of pid {run.top.pid}"
            certainty = Certainty.weakest(run.certainty, _LIKELY)
            return Run(run.jobs, certainty, evidence, run.top, run.command, run.label, (), run.at)
        return None

    def _alone(self, process: Process) -> bool:
        """Whether the leader of its session is gone, or itself: a person's shell that still lives would say more."""
        leader = self._tree.by_pid.get(process.sid)
        return leader is None or leader.pid == process.pid or not leader.tty


def _is_run_parts(process: Process) -> bool:
    return process.comm == "run-parts" or any(basename(word) == "run-parts" for word in process.argv[:2])


def _places(jobs: list[Job]) -> str:
    return " or ".join(job.places for job in jobs)
