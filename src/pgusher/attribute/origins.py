"""From a process to what it belongs to.

The order of precedence, and why:

1.  pgusher itself, this look and those of others: it is never anybody's suspect.
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
9.  A script, the nearest one: a scheduler's `job_a.py` and `job_b.py` hold apart. A shell's script only where none of
    another language lies below it: `loop.sh` that runs psql is what must be stopped.
10. The executable.
"""

from __future__ import annotations

from collections.abc import Callable

from pgusher.attribute.command import Command, Form
from pgusher.attribute.cron import CronRuns, Run
from pgusher.attribute.crontab import Crontab
from pgusher.attribute.looks import SHOWN, Look, Looks, subject
from pgusher.attribute.places import Places
from pgusher.attribute.programs import ProgramKind
from pgusher.attribute.programs.tools import OWN
from pgusher.attribute.quick import quick_link
from pgusher.attribute.rooting import (
    container_root,
    cron_root,
    gui_root,
    looking_root,
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
from pgusher.attribute.terminals import find_terminal
from pgusher.attribute.tree import Lineage, Tree, is_init
from pgusher.model.evidence import Certainty
from pgusher.model.facts import Facts
from pgusher.model.holder import Link, LinkKind
from pgusher.model.jobs import Container, Unit
from pgusher.model.process import Process

_PROVEN, _LIKELY, _GUESSED = Certainty.PROVEN, Certainty.LIKELY, Certainty.GUESSED
_PARENT, _PROGRAM = LinkKind.PARENT, LinkKind.PROGRAM
_SUPERVISOR, _GUI = ProgramKind.SUPERVISOR, ProgramKind.GUI

Line = list[Look]
"""The looks at a lineage, in its order."""


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
        self.looks: Looks = Looks(old.looks if old is not None else None)
        self.runs = CronRuns(self.tree, self.crontab, self.looks)
        self._old = old
        if old is not None:
            old.forget()  # one generation is enough; more would be kept for ever
        self.found: dict[int, Origin] = {}
        self._roots: dict[tuple[object, ...], Root] = {}

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
        if origin is None or old.tree.lineage(origin.process) != lineage:
            return None
        return origin if origin.local or old.runs.family == self.runs.family else None

    def _root(self, key: tuple[object, ...], make: Callable[[], Root]) -> Root:
        """A root that many processes have in common is made once."""
        root = self._roots.get(key)
        if root is None:
            root = self._roots[key] = make()
        return root

    def _find(self, lineage: Lineage) -> Origin:
        process = lineage[0]
        seen, look = self.looks.seen, self.looks.of
        line = [seen.get(ancestor.pid) or look(ancestor) for ancestor in lineage]
        if process.pid == self.own_pid:
            link = Link(_PROGRAM, "pgusher itself", _PROVEN, f"pid {process.pid} is pgusher", process.pid)
            return self._origin(lineage, line, 0, own_root(), (link,))
        known = line[0].known
        if known is not None and known.program.id == OWN:
            link = Link(_PROGRAM, subject(line[0], process), known.certainty, known.evidence, process.pid)
            return self._origin(lineage, line, 0, looking_root(process), (link,))
        place = self.places.of(process.cgroup)
        if place.container is not None:
            return self._container(lineage, line, place.container)
        at = self.runs.runner_above(lineage)
        if at is not None and not any(look.login for look in line[1:at]):
            return self._cron(lineage, line, self.runs.above(lineage, at))
        if place.unit is not None:
            return self._unit(lineage, line, place.unit)
        run = self.runs.orphan(lineage, place)
        if run is not None:
            return self._cron(lineage, line, run, local=False)
        return self._by_ancestors(lineage, line)

    def _by_ancestors(self, lineage: Lineage, line: Line) -> Origin:
        for at in range(1, len(line)):
            if line[at].kind is _SUPERVISOR:
                return self._supervised(lineage, line, at)
        owners = [at for at, look in enumerate(line) if look.owns]
        if owners:
            # A person's window is not the owner of a server that was started from within it.
            tops = [at for at in owners if at == owners[0] or line[at].kind is not _GUI]
            return self._service(lineage, line, tops[-1])
        terminal = None
        if any(process.tty for process in lineage) or any(look.login for look in line):
            terminal = find_terminal(lineage)
        if terminal is not None:
            whose = f"{terminal.line} of {terminal.user}"
            link = Link(LinkKind.TERMINAL, whose, _PROVEN, terminal.evidence, terminal.process.pid)
            return self._origin(lineage, line, 0, terminal_root(terminal), (link,), local=False)
        script = _script_of(lineage, line)
        return self._program(lineage, line) if script is None else self._script(lineage, line, script)

    def _origin(
        self,
        lineage: Lineage,
        line: Line,
        main: int,
        root: Root,
        links: tuple[Link, ...],
        *,
        run: tuple[int, ...] = (),
        conflicts: tuple[str, ...] = (),
        local: bool = True,
    ) -> Origin:
        process, top = lineage[0], lineage[main]
        nearest = None
        programs: tuple[str, ...] = ()
        for look in line:
            if look.known is not None:
                program = look.known.program
                programs += (program.id,)
                # What pgusher started for somebody is not pgusher.
                if nearest is None and look.kind is not _SUPERVISOR and (program.id != OWN or look is line[0]):
                    nearest = program
            if look.false:
                pid = next(p.pid for p, one in zip(lineage, line, strict=True) if one is look)
                conflicts += (f"pid {pid} is no cron daemon: {look.false}",)
        weakest = _PROVEN
        for link in links:
            if link.certainty is not _PROVEN:
                weakest = Certainty.weakest(weakest, link.certainty)
        return Origin(
            process,
            root,
            subject(line[0], process),
            links,
            top.pid,
            run or (top.pid, top.start_ticks),
            nearest,
            programs,
            line[0].command.interpreter or "",
            conflicts,
            local,
            weakest,
        )

    def _parent(self, lineage: Lineage, line: Line, at: int) -> tuple[Link, ...]:
        """The link to an ancestor; none when that is the process itself."""
        if at == 0:
            return ()
        ancestor = lineage[at]
        how = "its parent" if at == 1 else f"its ancestor, {at} above it"
        return (quick_link(_PARENT, subject(line[at], ancestor), _PROVEN, how, ancestor.pid),)

    def _container(self, lineage: Lineage, line: Line, container: Container) -> Origin:
        root = self._root(("container", container), lambda: container_root(container))
        name = container.name or container.short_id
        link = Link(LinkKind.CONTAINER, f"container {name}", _PROVEN, f"its cgroup is {lineage[0].cgroup}")
        return self._origin(lineage, line, 0, root, (link,))

    def _cron(self, lineage: Lineage, line: Line, run: Run, *, local: bool = True) -> Origin:
        user = run.top.user or str(run.top.uid)
        whose = run.jobs or run.command
        root = self._root(("cron", whose, run.label, user, run.at), lambda: cron_root(run, self.crontab))
        at = next((i for i, process in enumerate(lineage) if process.pid == run.top.pid), 0)
        link = quick_link(LinkKind.CRON, root.title, run.certainty, run.evidence, run.top.pid)
        # Ended is what the shell of the run has started: ending the shell alone would leave it, with its sessions.
        main = at - 1 if at and line[at].shell else at
        links = (*self._parent(lineage, line, at), link)
        return self._origin(lineage, line, main, root, links, run=run.identity, conflicts=run.conflicts, local=local)

    def _unit(self, lineage: Lineage, line: Line, unit: Unit) -> Origin:
        process = lineage[0]
        tops = [at for at, look in enumerate(line) if look.known is not None and lineage[at].cgroup == process.cgroup]
        owner = process.user if unit.owner_uid == process.uid else None
        root = self._root(("unit", unit, owner), lambda: unit_root(unit, owner))
        at = tops[-1] if tops else 0
        link = quick_link(LinkKind.UNIT, f"unit {unit.name}", _PROVEN, f"its cgroup is {process.cgroup}")
        timers = tuple(
            Link(LinkKind.TIMER, f"timer {timer}", _PROVEN, f"systemd says that it triggers {unit.name}")
            for timer in unit.timers
        )
        return self._origin(lineage, line, at, root, (*self._parent(lineage, line, at), link, *timers))

    def _supervised(self, lineage: Lineage, line: Line, at: int) -> Origin:
        supervisor, main = lineage[at], lineage[at - 1]
        known, child = line[at].known, line[at - 1].known
        assert known is not None  # noqa: S101 - `at` was chosen because it is known
        label = known.label
        if not label and child is not None:
            label = f"{child.program.id}:{child.label}" if child.label else child.program.id
        label = label or line[at - 1].command.label
        evidence = f"parent of pid {main.pid}; {known.evidence}"
        link = Link(_PROGRAM, f"{known.program.name} (pid {supervisor.pid})", known.certainty, evidence, supervisor.pid)
        links = (*self._parent(lineage, line, at - 1), link)
        return self._origin(lineage, line, at - 1, supervised_root(known, label, main), links, local=False)

    def _service(self, lineage: Lineage, line: Line, at: int) -> Origin:
        top = lineage[at]
        known = line[at].known
        assert known is not None  # noqa: S101 - `at` was chosen because it is known
        label = known.label
        if not label:
            # A worker may say what its master does not: "gunicorn -c conf.py".
            below = [look.known for look in reversed(line[:at]) if look.known is not None]
            label = next((other.label for other in below if other.program is known.program and other.label), "")
        key = ("service", known.program.id, label, top.uid, top.user, top.cwd)
        if known.program.kind is _GUI:
            root = self._root(key, lambda: gui_root(known, top))
        else:
            root = self._root(key, lambda: service_root(known, label, top))
        link = quick_link(_PROGRAM, f"{known.program.name} (pid {top.pid})", known.certainty, known.evidence, top.pid)
        return self._origin(lineage, line, at, root, (*self._parent(lineage, line, at), link), local=False)

    def _script(self, lineage: Lineage, line: Line, at: int) -> Origin:
        top, command = lineage[at], line[at].command
        key = ("script", command.form, command.target, command.interpreter, top.uid, top.user, top.cwd)
        root = self._root(key, lambda: script_root(command, top))
        what = "code on its command line" if command.form is Form.CODE else f"{command.form.value} {command.target}"
        evidence = f"{command.name} runs the {what[:SHOWN]}"
        link = quick_link(_PROGRAM, f"{command.label[:SHOWN]} of {_user(top)}", _LIKELY, evidence, top.pid)
        return self._origin(lineage, line, at, root, (*self._parent(lineage, line, at), link), local=False)

    def _program(self, lineage: Lineage, line: Line) -> Origin:
        process, look = lineage[0], line[0]
        known, command = look.known, look.command
        if known is not None:
            root = service_root(known, known.label, process)
            whose = f"{known.program.name} of {_user(process)}"
            link = Link(_PROGRAM, whose, known.certainty, known.evidence, process.pid)
            return self._origin(lineage, line, 0, root, (link,), local=False)
        if process.exe:
            certainty, evidence = _PROVEN, f"the kernel says that {process.exe} is executed"
        elif process.argv:
            certainty, evidence = _LIKELY, f"its command line begins with {process.argv[0][:SHOWN]}"
        else:
            certainty, evidence = _GUESSED, f"its short name is {process.comm}, and its command line is empty"
        called = process.argv[0] if process.argv else ""
        key = ("program", process.exe, called, command.label, process.uid, process.user)
        root = self._root(key, lambda: program_root(command, process))
        link = quick_link(_PROGRAM, f"{command.label[:SHOWN]} of {_user(process)}", certainty, evidence, process.pid)
        return self._origin(lineage, line, 0, root, (link,), local=False)


def _script_of(lineage: Lineage, line: Line) -> int | None:
    """The place of the script that a process belongs to, None if it belongs to none.

    Code on a command line names nothing, as in the children of multiprocessing: what is above it is asked first.
    """
    # What pgusher started for somebody (a guarded job, the demo) is not pgusher: it is never anybody's suspect.
    scripts = [
        at
        for at, look in enumerate(line)
        if look.script and not is_init(lineage[at]) and (at == 0 or not _is_pgusher(look.command))
    ]
    named = [at for at in scripts if line[at].command.form is not Form.CODE]
    nearest = next((at for at in named if not line[at].shell), None)
    if nearest is not None:
        # Its forked workers have its command line: what must be stopped is the one above them.
        mine = line[nearest].command
        return [at for at in named if (line[at].command.form, line[at].command.target) == (mine.form, mine.target)][-1]
    places = named or scripts
    return places[-1] if places else None


def _is_pgusher(command: Command) -> bool:
    """`python -m pgusher ...`, one of its modules, or its console script."""
    if command.form is Form.MODULE:
        return command.target.partition(".")[0] == "pgusher"
    return command.form is Form.SCRIPT and basename(command.target) == "pgusher"


def _user(process: Process) -> str:
    return process.user or f"uid {process.uid}"
