"""From a process to what it belongs to.

The order of precedence, and why:

1.  pgusher itself: it is never anybody's suspect.
2.  A container: whatever runs inside was started from its image, and it is stopped as a whole. The host's crontabs and
    units say nothing of what is in it.
3.  A cron job, when a cron daemon is an ancestor and no login lies between. Before the unit, because all that cron
    starts stays in the cgroup of cron.service, which names cron and not the job.
4.  A systemd unit, by the cgroup: the kernel keeps it over fork, setsid and exec. Not one that merely starts what it is
    told to (cron, ssh, docker, supervisor, a login's scope): `places` has them.
5.  A run of cron that was left by its process, tied to it by session, audit session or cgroup. It comes before the
    programs, as the crontab line is what starts it again.
6.  A supervisor (supervisord, runit, s6, PM2 ...): it would start again what is merely ended, so it must be asked.
7.  A known program's tree (gunicorn and its workers, Grafana and its plugins), from its topmost process. Before the
    terminal, because a service that a person started by hand is still known by what it is.
8.  A person's terminal, or login over ssh.
9.  A script, the topmost one: `loop.sh` that runs psql is what must be stopped.
10. The executable.
"""

from __future__ import annotations

from pgusher.attribute.command import Command, Form, family, is_shell, job_label, read_command
from pgusher.attribute.cron import CronRuns, Run, runner_above
from pgusher.attribute.crontab import Crontab
from pgusher.attribute.places import Places
from pgusher.attribute.programs import Known, ProgramKind, recognise
from pgusher.attribute.rooting import (
    container_root,
    cron_root,
    gui_root,
    own_root,
    program_root,
    script_root,
    service_root,
    supervised_root,
    terminal_root,
    unit_root,
)
from pgusher.attribute.roots import Origin, Root
from pgusher.attribute.shell import basename
from pgusher.attribute.terminals import find_terminal, nearest_login
from pgusher.attribute.tree import Lineage, Tree, is_init
from pgusher.model.evidence import Certainty
from pgusher.model.facts import Facts
from pgusher.model.holder import Link, LinkKind
from pgusher.model.jobs import Unit
from pgusher.model.process import Process

SHOWN = 200
"""Characters of a command line that a link shows."""

_PROVEN, _LIKELY, _GUESSED = Certainty.PROVEN, Certainty.LIKELY, Certainty.GUESSED


class Origins:
    """The origin of each process of the facts, found when asked for."""

    def __init__(self, facts: Facts, old: Origins | None = None) -> None:
        """`old` is what was found in earlier facts: what cannot have changed since is taken over."""
        self.tree = Tree(facts.processes)
        self.own_pid = facts.host.pid
        self.jobs: tuple[object, ...] = (facts.cron, facts.units, facts.containers)
        if old is not None and (old.jobs != self.jobs or old.own_pid != self.own_pid):
            old = None
        self.places: Places = old.places if old is not None else Places(facts)
        self.crontab: Crontab = old.crontab if old is not None else Crontab(facts.cron)
        self.runs = CronRuns(self.tree, self.crontab)
        self._same_family = old is not None and old.runs.family == self.runs.family
        self._old = old
        if old is not None:
            old.forget()  # one generation is enough; more would be kept for ever
        self._seen: dict[int, tuple[Command, Known | None]] = {}
        self.found: dict[int, Origin] = {}

    def forget(self) -> None:
        """Lets go of what was found before it."""
        self._old = None

    def of(self, pid: int) -> Origin | None:
        """What the process of that pid belongs to; None when the facts do not have it."""
        origin = self.found.get(pid)
        if origin is None:
            process = self.tree.by_pid.get(pid)
            if process is None:
                return None
            lineage = self.tree.lineage(process)
            origin = self._kept(pid, lineage) or self._find(lineage)
            self.found[pid] = origin
        return origin

    def _kept(self, pid: int, lineage: Lineage) -> Origin | None:
        old = self._old
        if old is None:
            return None
        origin = old.found.get(pid)
        if origin is None or not (origin.local or self._same_family) or old.tree.lineage(origin.process) != lineage:
            return None
        return origin

    def command(self, process: Process) -> Command:
        """The command line of a process, taken apart."""
        return self._look(process)[0]

    def known(self, process: Process) -> Known | None:
        """The known program that a process is."""
        return self._look(process)[1]

    def _look(self, process: Process) -> tuple[Command, Known | None]:
        seen = self._seen.get(process.pid)
        if seen is None:
            command = read_command(process.argv, process.exe, process.comm)
            known = recognise(command, process.exe, process.comm, argv=bool(process.argv))
            seen = self._seen[process.pid] = command, known
        return seen

    def _find(self, lineage: Lineage) -> Origin:
        process = lineage[0]
        if process.pid == self.own_pid:
            link = Link(LinkKind.PROGRAM, "pgusher itself", _PROVEN, f"pid {process.pid} is pgusher", process.pid)
            return self._origin(lineage, 0, own_root(), (link,))
        place = self.places.of(process.cgroup)
        if place.container is not None:
            subject = f"container {place.container.name or place.container.short_id}"
            link = Link(LinkKind.CONTAINER, subject, _PROVEN, f"the cgroup of pid {process.pid} is {process.cgroup}")
            return self._origin(lineage, 0, container_root(place.container), (link,))
        at = runner_above(lineage)
        if at is not None:
            login = nearest_login(lineage)
            if login is None or at < login:
                return self._cron(lineage, self.runs.above(lineage, at))
        if place.unit is not None:
            return self._unit(lineage, place.unit)
        run = self.runs.orphan(lineage, place)
        if run is not None:
            return self._cron(lineage, run, local=False)
        return self._by_ancestors(lineage)

    def _by_ancestors(self, lineage: Lineage) -> Origin:
        owners = [
            at
            for at, process in enumerate(lineage)
            if (known := self.known(process)) is not None
            and (known.program.kind.owns or (at and known.program.kind is ProgramKind.SUPERVISOR))
        ]
        supervisor = next((at for at in owners if self._kind(lineage[at]) is ProgramKind.SUPERVISOR), None)
        if supervisor is not None:
            return self._supervised(lineage, supervisor)
        if owners:
            # A person's window is not the owner of a server that was started from within it.
            tops = [at for at in owners if at == owners[0] or self._kind(lineage[at]) is not ProgramKind.GUI]
            return self._service(lineage, tops[-1])
        terminal = find_terminal(lineage)
        if terminal is not None:
            link = Link(
                LinkKind.TERMINAL,
                f"{terminal.line} of {terminal.user}",
                _PROVEN,
                terminal.evidence,
                terminal.process.pid,
            )
            return self._origin(lineage, 0, terminal_root(terminal), (link,), local=False)
        scripts = [
            at for at, process in enumerate(lineage) if not is_init(process) and _is_script(self.command(process))
        ]
        if scripts:
            return self._script(lineage, scripts[-1])
        return self._program(lineage)

    def _kind(self, process: Process) -> ProgramKind | None:
        known = self.known(process)
        return known.program.kind if known is not None else None

    def _origin(
        self,
        lineage: Lineage,
        main: int,
        root: Root,
        links: tuple[Link, ...],
        *,
        run: tuple[int, ...] = (),
        conflicts: tuple[str, ...] = (),
        local: bool = True,
    ) -> Origin:
        process, top = lineage[0], lineage[main]
        programs = [known.program for ancestor in lineage if (known := self.known(ancestor)) is not None]
        nearest = next((p for p in programs if p.kind is not ProgramKind.SUPERVISOR), None)
        command = self.command(process)
        return Origin(
            process=process,
            root=root,
            subject=self.subject(process),
            links=links,
            main=top.pid,
            run=run or (top.pid, top.start_ticks),
            program=nearest,
            programs=frozenset(program.id for program in programs),
            runtime=command.interpreter or "",
            conflicts=conflicts,
            local=local,
            weakest=Certainty.weakest(*(link.certainty for link in links)),
        )

    def subject(self, process: Process) -> str:
        """A process for a person: "python version_history.py (pid 4711)"."""
        return f"{shown(process)} (pid {process.pid})"

    def _parent(self, lineage: Lineage, at: int) -> tuple[Link, ...]:
        """The link to an ancestor; none when that is the process itself."""
        if at == 0:
            return ()
        process, ancestor = lineage[0], lineage[at]
        evidence = f"parent of pid {process.pid}" if at == 1 else f"ancestor of pid {process.pid}, {at} above it"
        return (Link(LinkKind.PARENT, self.subject(ancestor), _PROVEN, evidence, ancestor.pid),)

    def _cron(self, lineage: Lineage, run: Run, *, local: bool = True) -> Origin:
        label = run.label or job_label(run.command)
        root = cron_root(run, label)
        at = next((i for i, process in enumerate(lineage) if process.pid == run.top.pid), 0)
        link = Link(LinkKind.CRON, root.title, run.certainty, run.evidence, run.top.pid)
        links = (*self._parent(lineage, at), link)
        # Ended is what the shell of the run has started: ending the shell alone would leave it, with its sessions.
        main = at - 1 if at and is_shell(self.command(lineage[at])) else at
        return self._origin(lineage, main, root, links, run=run.identity, conflicts=run.conflicts, local=local)

    def _unit(self, lineage: Lineage, unit: Unit) -> Origin:
        process = lineage[0]
        tops = [
            at
            for at, ancestor in enumerate(lineage)
            if ancestor.cgroup == process.cgroup and self.known(ancestor) is not None
        ]
        evidence = f"the cgroup of pid {process.pid} is {process.cgroup}"
        link = Link(LinkKind.UNIT, f"unit {unit.name}", _PROVEN, evidence)
        timers = tuple(
            Link(LinkKind.TIMER, f"timer {timer}", _PROVEN, f"systemd says that it triggers {unit.name}")
            for timer in unit.timers
        )
        owner = process.user if unit.owner_uid == process.uid else None
        return self._origin(
            lineage,
            tops[-1] if tops else 0,
            unit_root(unit, owner),
            (*self._parent(lineage, tops[-1] if tops else 0), link, *timers),
        )

    def _supervised(self, lineage: Lineage, at: int) -> Origin:
        supervisor, main = lineage[at], lineage[at - 1]
        known = self.known(supervisor)
        assert known is not None  # noqa: S101 - `at` was chosen because it is known
        child = self.known(main)
        label = known.label or (f"{child.program.id}:{child.label}" if child and child.label else "")
        label = label or (child.program.id if child else self.command(main).label)
        link = Link(
            LinkKind.PROGRAM,
            f"{known.program.name} (pid {supervisor.pid})",
            known.certainty,
            f"parent of pid {main.pid}; {known.evidence}",
            supervisor.pid,
        )
        root = supervised_root(known, label, main)
        return self._origin(lineage, at - 1, root, (*self._parent(lineage, at - 1), link), local=False)

    def _service(self, lineage: Lineage, at: int) -> Origin:
        top = lineage[at]
        known = self.known(top)
        assert known is not None  # noqa: S101 - `at` was chosen because it is known
        label = known.label
        if not label:
            # A worker may say what its master does not: "gunicorn -c conf.py".
            below = [self.known(process) for process in reversed(lineage[:at])]
            label = next((k.label for k in below if k is not None and k.program is known.program and k.label), "")
        root = gui_root(known, top) if known.program.kind is ProgramKind.GUI else service_root(known, label, top)
        link = Link(LinkKind.PROGRAM, f"{known.program.name} (pid {top.pid})", known.certainty, known.evidence, top.pid)
        return self._origin(lineage, at, root, (*self._parent(lineage, at), link), local=False)

    def _script(self, lineage: Lineage, at: int) -> Origin:
        top = lineage[at]
        command = self.command(top)
        what = "code on its command line" if command.form is Form.CODE else f"{command.form.value} {command.target}"
        link = Link(
            LinkKind.PROGRAM,
            f"{command.label} of {_user(top)}",
            _LIKELY,
            f"{command.name} (pid {top.pid}) runs the {what[:SHOWN]}",
            top.pid,
        )
        return self._origin(lineage, at, script_root(command, top), (*self._parent(lineage, at), link), local=False)

    def _program(self, lineage: Lineage) -> Origin:
        process = lineage[0]
        known, command = self.known(process), self.command(process)
        if known is not None:
            root = service_root(known, known.label, process)
            link = Link(
                LinkKind.PROGRAM,
                f"{known.program.name} of {_user(process)}",
                known.certainty,
                known.evidence,
                process.pid,
            )
            return self._origin(lineage, 0, root, (link,), local=False)
        if process.exe:
            certainty, evidence = _PROVEN, f"the kernel says that {process.exe} is executed"
        elif process.argv:
            certainty, evidence = _LIKELY, f"its command line begins with {process.argv[0][:SHOWN]}"
        else:
            certainty, evidence = _GUESSED, f"its short name is {process.comm}, and its command line is empty"
        link = Link(LinkKind.PROGRAM, f"{command.label} of {_user(process)}", certainty, evidence, process.pid)
        return self._origin(lineage, 0, program_root(command, process), (link,), local=False)


def shown(process: Process) -> str:
    """A command line for a person, on one line and not too long; "[comm]" when it is empty."""
    if not process.argv:
        return f"[{process.comm}]"
    first, *rest = process.argv
    text = " ".join((first if " " in first else basename(first), *rest[:24]))
    return text if len(text) <= SHOWN else f"{text[: SHOWN - 3]}..."


def _user(process: Process) -> str:
    return process.user or f"uid {process.uid}"


def _is_script(command: Command) -> bool:
    """Whether it says what it runs: an interpreter with a script, module or code; a shell only with a script."""
    if command.form is Form.NONE:
        return False
    return command.form is not Form.CODE or (not is_shell(command) and family(command.name) is not None)
