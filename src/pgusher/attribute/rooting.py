"""The roots: for each kind of holder its identity, its name's beginning, its title and how a person stops it."""

from __future__ import annotations

from pgusher.attribute.command import Command, Form
from pgusher.attribute.cron import Run
from pgusher.attribute.crontab import Crontab, Job, place
from pgusher.attribute.names import checksum, slug
from pgusher.attribute.programs import Known, ProgramKind
from pgusher.attribute.roots import Root
from pgusher.attribute.shell import basename, quote
from pgusher.attribute.terminals import Terminal
from pgusher.model.holder import ChainEnd, HolderKind
from pgusher.model.jobs import Container, CronKind, Unit
from pgusher.model.process import Process

_LONGEST_TITLE = 300


def own_root() -> Root:
    """The root of this look's own session, which is not a suspect."""
    return Root(("pgusher",), HolderKind.OWN, "pgusher", "pgusher itself", end=ChainEnd.OWN)


def looking_root(process: Process) -> Root:
    """`pgusher/bob`: another look of somebody's, as little a suspect wherever it was started."""
    user = process.user or str(process.uid)
    title = f"another look with pgusher ({user})"
    stop = "it ends by itself, a watch with Ctrl-C; or end it: kill {pids}"
    return Root(("pgusher", user), HolderKind.OWN, f"pgusher/{slug(user)}", _cut(title), (), stop, counts_runs=True)


def container_root(container: Container) -> Root:
    """`container/web-1`; in Kubernetes by pod and container."""
    named = ":".join(part for part in (container.pod, container.name) if part) or container.short_id
    key = ("container", container.runtime, container.id)
    title = f"container {named} ({container.runtime} {container.short_id})"
    if container.image:
        title += f", image {container.image}"
    name = quote(container.name or container.short_id)
    if container.pod:
        space = f" -n {quote(container.namespace)}" if container.namespace else ""
        stop = f"kubectl{space} delete pod {quote(container.pod)}; scale its Deployment down, or it comes back"
    elif container.runtime in {"docker", "podman"}:
        stop = f"{container.runtime} stop {name}"
    elif container.runtime == "lxc":
        stop = f"lxc-stop -n {name}, or lxc stop {name}"
    elif container.runtime == "cri-o":
        stop = f"crictl stop {quote(container.short_id)}"
    elif container.runtime == "containerd":
        stop = f"nerdctl stop {name}, or crictl stop {quote(container.short_id)}"
    else:
        stop = f"stop container {container.short_id} with its runtime"
    return Root(
        key,
        HolderKind.CONTAINER,
        f"container/{slug(named)}",
        _cut(title),
        (container.namespace or "", container.short_id, container.runtime),
        stop,
    )


def unit_root(unit: Unit, owner: str | None) -> Root:
    """`unit/orders-api`; `unit/sync+bob` for one of a user's own manager, always with the user."""
    name = unit.name.removesuffix(".service")
    user = owner or (str(unit.owner_uid) if unit.owner_uid is not None else "")
    key = ("unit", unit.name, user if unit.user_unit else "")
    described = f" ({unit.description})" if unit.description else ""
    whose = f" of user {user}" if unit.user_unit and user else ""
    title = f"systemd unit {unit.name}{whose}{described}"
    control = f"systemctl --user --machine={quote(user)}@" if unit.user_unit and user else "systemctl"
    if unit.user_unit and not user:
        control = "systemctl --user"
    stop = f"{control} stop {quote(unit.name)}"
    if unit.timers:
        title += f", started by {', '.join(unit.timers)}"
        timers = " ".join(quote(timer) for timer in unit.timers)
        stop += f"; it starts again at its time, unless: {control} stop {timers}"
    base = f"unit/{slug(name)}" + (f"+{slug(user)}" if unit.user_unit and user else "")
    return Root(key, HolderKind.UNIT, base, _cut(title), (checksum(unit.name),), stop)


def cron_root(run: Run, crontab: Crontab) -> Root:
    """`cron/version_history`: the job, whether one or three of its runs hold sessions."""
    stop = "end the run itself, not the shell above it: kill {both}"
    prefix = "at" if run.at else "cron"
    label = crontab.label(run.jobs[0]) if run.jobs else run.label
    base = f"{prefix}/{slug(label)}"
    user = run.top.user or str(run.top.uid)
    kind = HolderKind.CRON
    if not run.jobs:
        title = f"{'at job' if run.at else 'cron job'} {run.command or label} ({user})"
        unknown = (prefix, "?", user, run.command)
        return Root(unknown, kind, base, _cut(title), (user, checksum(run.command)), stop, counts_runs=True)
    key = ("cron", *(part for job in run.jobs for part in job.key[1:]))
    return Root(key, kind, base, _title_of(run.jobs, user), _places_of(run.jobs), stop, counts_runs=True)


def shadows(crontab: Crontab, live: set[tuple[str, ...]]) -> list[Root]:
    """The roots of the jobs that hold nothing now, so that a name does not change when one of them does.

    `live` are the keys of those that hold something.
    """
    covered = {part for key in live if key[0] == "cron" for part in key[1:]}
    return [
        Root(job.key, HolderKind.CRON, f"cron/{slug(crontab.label(job))}", "", _places_of((job,)))
        for job in crontab.jobs
        if job.key not in live and not set(job.key[1:]) <= covered and job.entries[0].kind is not CronKind.AT
    ]


def _places_of(jobs: tuple[Job, ...]) -> tuple[str, ...]:
    entries = [entry for job in jobs for entry in job.entries]
    users = sorted({entry.user for entry in entries if entry.user})
    files = ":".join(
        f"{basename(entry.file)}:{entry.line}" if entry.line else basename(entry.file) for entry in entries
    )
    return ":".join(users), files, checksum(":".join(place(entry) for entry in entries))


def _title_of(jobs: tuple[Job, ...], user: str) -> str:
    entries = [entry for job in jobs for entry in job.entries]
    first = entries[0]
    who = first.user or user
    word = "at job" if first.kind is CronKind.AT else "cron job"
    if len(entries) == 1:
        schedule = f"{first.schedule} " if first.schedule else ""
        return _cut(f"{word} {schedule}{first.command or first.file} ({who}, {place(first)})")
    listed = "; ".join(f"{place(entry)} {entry.schedule}".strip() for entry in entries[:8])
    more = f" and {len(entries) - 8} more" if len(entries) > 8 else ""
    commands = {entry.command for entry in entries}
    what = first.command if len(commands) == 1 else f"one of {len(commands)}"
    return _cut(f"{word} {what} ({who}), one of {len(entries)} lines: {listed}{more}")


def supervised_root(known: Known, label: str, main: Process) -> Root:
    """`runit/orders`, `supervisor/gunicorn:orders`: what a supervisor starts again when it ends."""
    program = known.program
    stop = program.stop.replace("{label}", quote(label)) + "; its pid is {mains}"
    user = main.user or str(main.uid)
    title = f"{label}, kept running by {program.name} ({user})"
    key = ("supervised", program.id, label, user)
    return Root(key, HolderKind.SERVICE, f"{program.id}/{slug(label)}", _cut(title), (user,), stop, counts_runs=True)


_PLACED = frozenset({ProgramKind.WEB, ProgramKind.WORKER, ProgramKind.APP, ProgramKind.SCHEDULER})


def service_root(known: Known, label: str, top: Process) -> Root:
    """`gunicorn/orders`, `grafana`: a known program's own tree, told from others by its directory and user."""
    program = known.program
    user = top.user or str(top.uid)
    # Two directories with an app:app each are two applications; of a program that is one thing, it says nothing.
    directory = (top.cwd or "") if label and program.kind in _PLACED else ""
    base = f"{program.id}/{slug(label)}" if label else program.id
    title = f"{program.name}{f' {label}' if label else ''} ({user})"
    if directory:
        title += f" in {directory}"
    stop = program.stop or "end its main process: kill {mains}"
    return Root(
        ("service", program.id, label, user, directory),
        HolderKind.SERVICE,
        base,
        _cut(title),
        (user, basename(directory.rstrip("/")), checksum(directory)),
        stop,
        counts_runs=True,
    )


def gui_root(known: Known, top: Process) -> Root:
    """`dbeaver/bob`: a person's own window."""
    user = top.user or str(top.uid)
    stop = f"ask {user} to {known.program.stop or 'close its windows'}"
    return Root(
        ("gui", known.program.id, user),
        HolderKind.SERVICE,
        f"{known.program.id}/{slug(user)}",
        _cut(f"{known.program.name} of {user}"),
        (),
        stop,
        counts_runs=True,
    )


def terminal_root(terminal: Terminal) -> Root:
    """`terminal/bob@pts3`: a person; `tunnel/bob` when sshd forwards a port for them."""
    user, line = terminal.user, terminal.line
    if line == "tunnel":
        stop = f"ask {user}; or end the login, and all it forwards: kill {{pids}}"
        title = f"ssh tunnel of {user}: the client is behind it"
        return Root(("tunnel", user), HolderKind.TERMINAL, f"tunnel/{slug(user)}", _cut(title), (), stop)
    where = "ssh login without a terminal" if line == "ssh" else f"terminal {line}"
    stop = f"ask {user}; or end it: kill {{pids}}"
    return Root(
        ("terminal", user, line),
        HolderKind.TERMINAL,
        f"terminal/{slug(user)}@{slug(line.replace('/', ''))}",
        _cut(f"{where} of {user}"),
        (checksum(f"{user}@{line}"),),
        stop,
    )


def script_root(command: Command, top: Process) -> Root:
    """`script/report.py`: all instances of one script by one user."""
    user = top.user or str(top.uid)
    where, directory = command.target, ""
    if command.form in (Form.SCRIPT, Form.JAR):
        where = absolute(command.target, top.cwd)
        directory = basename(where.rpartition("/")[0])
    elif top.cwd:
        directory = basename(top.cwd.rstrip("/"))
    key = ("script", command.form.value, where, user, "" if where.startswith("/") else top.cwd or "")
    what = f"code of {command.interpreter} -c" if command.form is Form.CODE else where
    return Root(
        key,
        HolderKind.SCRIPT,
        f"script/{slug(command.label)}",
        _cut(f"script {what} ({user})"),
        (user, directory, checksum(where)),
        "end it: kill {both}",
        counts_runs=True,
    )


def program_root(command: Command, process: Process) -> Root:
    """`program/orders-go`: an executable that is in no table."""
    user = process.user or str(process.uid)
    path = process.exe or (process.argv[0] if process.argv and not command.title else command.label)
    return Root(
        ("program", path, command.label, user),
        HolderKind.SCRIPT,
        f"program/{slug(command.label)}",
        _cut(f"program {path} ({user})"),
        (user, basename(path.rpartition("/")[0]), checksum(path)),
        "end it: kill {pids}",
        counts_runs=True,
    )


def absolute(path: str, directory: str | None) -> str:
    """A path as seen from the root, when the working directory is known; nothing is looked up."""
    if not path.startswith("/"):
        if directory is None or not directory.startswith("/"):
            return path
        path = f"{directory}/{path}"
    parts: list[str] = []
    for part in path.split("/"):
        if part == "..":
            del parts[-1:]
        elif part not in ("", "."):
            parts.append(part)
    return "/" + "/".join(parts)


def _cut(text: str) -> str:
    return text if len(text) <= _LONGEST_TITLE else f"{text[: _LONGEST_TITLE - 3]}..."
