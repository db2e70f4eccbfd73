"""What starts processes on a host: cron lines, systemd units, containers."""

from __future__ import annotations

from enum import StrEnum

from pgusher.model.values import dataclass


class CronKind(StrEnum):
    """The shapes in which a job is written."""

    SYSTEM = "system crontab"
    """/etc/crontab and /etc/cron.d: the line names the user."""
    USER = "user crontab"
    """/var/spool/cron: the file's name is the user."""
    RUN_PARTS = "run-parts"
    """An executable in /etc/cron.{hourly,daily,weekly,monthly}."""
    ANACRON = "anacron"
    AT = "at"


@dataclass(frozen=True, slots=True)
class CronEntry:
    """One job as it is written in a crontab."""

    kind: CronKind
    file: str
    line: int
    """Line number in `file`, from 1; 0 for a whole file (run-parts, at)."""
    schedule: str
    """As written: "*/10 * * * *", "@daily"; anacron's is its period and delay, "7 10"; a run-parts script has that of
    the line that runs its directory; "" for an at job."""
    command: str
    """What cron gives to the shell: cut at the first unescaped %; redacted."""
    user: str | None = None
    shell: str | None = None
    """SHELL as set above the line; None for the default."""
    name: str | None = None
    """A name that the crontab itself gives (anacron's identifier, run-parts' file name)."""


@dataclass(frozen=True, slots=True)
class Unit:
    """One systemd unit that processes of interest run in."""

    name: str
    """"orders-api.service"."""
    user_unit: bool = False
    """True for a unit of a user's own manager (user@1000.service)."""
    owner_uid: int | None = None
    """Whose user manager it is."""
    description: str | None = None
    file: str | None = None
    """The unit's file, when found."""
    timers: tuple[str, ...] = ()
    """Timers that trigger it."""
    cgroup: str | None = None
    """The cgroup of a process that runs in it: its own or one below, so one unit may come up several times."""
    cgroup_id: int | None = None
    """Inode of the directory of `cgroup` (version 2): what a socket's cgroup_id says when no process may be seen."""
    transient: bool = False
    """Made at run time (systemd-run, a desktop's application): no file describes it, nothing starts it again."""


@dataclass(frozen=True, slots=True)
class Container:
    """One container that processes of interest run in."""

    runtime: str
    """docker, podman, containerd, cri-o, lxc ...; "kubernetes" when only the pod is known."""
    id: str
    """As in the cgroup: 64 hex digits, mostly."""
    name: str | None = None
    image: str | None = None
    pod: str | None = None
    """Name of the Kubernetes pod, or its uid when only that is known."""
    namespace: str | None = None
    cgroup: str | None = None
    """The cgroup of a process that runs in it, so one container may come up several times."""
    cgroup_id: int | None = None
    """As for a unit."""

    @property
    def short_id(self) -> str:
        """The first twelve characters, as the runtimes print it."""
        return self.id[:12]
