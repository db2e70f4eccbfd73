"""What is known of a program: how it is recognised, what limits its slots, how it is stopped."""

from __future__ import annotations

from enum import StrEnum

from pgusher.model.values import dataclass


class ProgramKind(StrEnum):
    """What a program is for, as far as that decides who holds the slot and what to do."""

    POOLER = "pooler"
    PROXY = "proxy"
    """Passes on bytes: the client is behind it, and may be on another host."""
    WEB = "web"
    WORKER = "worker"
    SCHEDULER = "scheduler"
    BI = "bi"
    APP = "app"
    MONITOR = "monitor"
    DATABASE = "database"
    GUI = "gui"
    """A person's own, with windows."""
    SHELL = "shell"
    """A person's own, in a terminal."""
    BACKUP = "backup"
    TOOL = "tool"
    """Runs once and ends."""
    SUPERVISOR = "supervisor"
    """Starts other programs, and starts them again when they end."""

    @property
    def owns(self) -> bool:
        """Whether what it starts is a part of it. What is no owner is named by what started it."""
        return self in _OWNERS

    @property
    def relays(self) -> bool:
        """Whether its sessions speak for clients behind it, so that what they say of themselves is not of it."""
        return self in (ProgramKind.POOLER, ProgramKind.PROXY)


_OWNERS = frozenset(
    {ProgramKind.POOLER, ProgramKind.PROXY, ProgramKind.WEB, ProgramKind.WORKER, ProgramKind.SCHEDULER}
    | {ProgramKind.BI, ProgramKind.APP, ProgramKind.MONITOR, ProgramKind.DATABASE, ProgramKind.GUI}
)


@dataclass(frozen=True, slots=True)
class Program:
    """One known program. A process is it when any of the ways to recognise it fits; `words` must fit too."""

    id: str
    """The beginning of its holders' names: "gunicorn"."""
    name: str
    """As its makers write it: "Grafana"."""
    kind: ProgramKind
    limit: str
    """The setting that limits how many slots it takes, with its default where there is one."""
    exe: tuple[str, ...] = ()
    """Names of its executables; one that ends with * is the beginning of a name."""
    script: tuple[str, ...] = ()
    """Names of its scripts, which an interpreter runs: "gunicorn" of "python /venv/bin/gunicorn"."""
    module: tuple[str, ...] = ()
    """Modules as in "python -m", main classes of java; each stands for those within it too."""
    within: bool = True
    """False when only the module itself is it: what lies within it is somebody else's."""
    title: tuple[str, ...] = ()
    """Beginnings of the title that it writes over its command line."""
    jar: tuple[str, ...] = ()
    """Names of its jars; one that ends with * is the beginning of a name."""
    path: tuple[str, ...] = ()
    """Parts of the path of its executable, script or jar, for one whose name says little: "/datadog-agent/"."""
    words: tuple[str, ...] = ()
    """Parts of the command line of which one must be there too."""
    app: tuple[str, ...] = ()
    """The application that a web server was told to run, when that is it: "superset" of gunicorn superset.app:app."""
    says: tuple[str, ...] = ()
    """Beginnings of the application_name that it sends by itself."""
    label: str = ""
    """How one instance is told from another: the name of a function in `labels`."""
    stop: str = ""
    """How a person stops it, where that is not simply to end its main process."""
