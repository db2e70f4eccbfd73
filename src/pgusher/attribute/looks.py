"""What one process says of itself: its command line taken apart, and the known program that it is."""

from __future__ import annotations

from pgusher.attribute.command import Command, Form, is_shell, read_command
from pgusher.attribute.programs import Known, ProgramKind, recognise
from pgusher.attribute.shell import basename
from pgusher.attribute.terminals import is_multiplexer, ssh_user
from pgusher.model.process import Process
from pgusher.model.values import dataclass

SHOWN = 200
"""Characters of a command line that a link shows."""

_RUNNERS = frozenset(
    {"cron", "crond", "CRON", "CROND", "fcron", "supercronic", "anacron", "atd", "dcron", "bcron-exec"}
)
_DAEMONS = frozenset(name.lower() for name in _RUNNERS) | {"busybox"}
"""What the executables of cron daemons are called: a title says whatever its process wants."""
_SYSTEM = ("/usr/", "/bin/", "/sbin/", "/nix/store/", "/gnu/store/", "/snap/")
"""Where nobody but root puts programs: anybody may call a copy of a shell "cron"."""
_REMEMBERED = 20_000


@dataclass(slots=True, eq=False)
class Look:
    """One command line, understood; shared by all processes that have the same."""

    command: Command
    known: Known | None
    kind: ProgramKind | None
    """Of the known program."""
    owns: bool
    """Whether what it starts is a part of it."""
    script: bool
    """Whether an interpreter was told what to run: a shell only when that is a script."""
    shell: bool
    login: bool
    """Whether it keeps a person's login or terminals: one of sshd's for a login, tmux, screen."""
    runner: str
    """The name of the cron daemon that it is; "" for all others."""
    doubt: str
    """Why that is likely at most; "" where its executable proves it."""
    false: str
    """That it calls itself a cron daemon, and what it is; "" for all others."""
    text: str
    """The command line for a person, on one line and not too long; "[comm]" when it is empty."""


_Line = tuple[tuple[str, ...], str | None, str]


class Looks:
    """Looks at the processes of one tree, at each command line once."""

    def __init__(self, old: Looks | None = None) -> None:
        """`old` is of an earlier tree: what it saw in command lines is known."""
        self._by_line: dict[_Line, Look] = {} if old is None else old.remembered()
        self.seen: dict[int, Look] = {}
        """Those that were looked at, by pid."""

    def remembered(self) -> dict[_Line, Look]:
        """Its command lines."""
        return self._by_line

    def of(self, process: Process) -> Look:
        """What a process says of itself."""
        look = self.seen.get(process.pid)
        if look is None:
            look = self.seen[process.pid] = self._read(process)
        return look

    def _read(self, process: Process) -> Look:
        line = process.argv, process.exe, process.comm
        look = self._by_line.get(line)
        if look is None:
            if len(self._by_line) >= _REMEMBERED:
                self._by_line.clear()
            look = self._by_line[line] = _look(process)
        return look


def _look(process: Process) -> Look:
    argv = process.argv
    command = read_command(argv, process.exe, process.comm)
    known = recognise(command, process.exe, process.comm, argv=bool(argv))
    shell = is_shell(command)
    return Look(
        command,
        known,
        known.program.kind if known is not None else None,
        known is not None and known.program.kind.owns,
        command.form is not Form.NONE and not (shell and command.form is Form.CODE),
        shell,
        ssh_user(process) is not None or is_multiplexer(process),
        *_runner(process),
        _shown(process),
    )


def _runner(process: Process) -> tuple[str, str, str]:
    """Of a cron daemon, or the process that one keeps for each run: its name, and why that is likely at most.

    Last, that what calls itself one is none: a title is what its process has set it to (`exec -a CRON`), so that the
    executable decides, and where that may not be read the name that the kernel keeps has to agree.
    """
    name = _claimed(process)
    if not name:
        return "", "", ""
    exe, comm = process.exe, process.comm
    if not exe:
        if comm.lower() in _DAEMONS:
            return name, f"which executable {name} runs may not be read", ""
        return "", "", f"it calls itself {name}, and the kernel calls it {comm}"
    if basename(exe) not in _DAEMONS:
        return "", "", f"it calls itself {name}, and runs {exe}"
    if not exe.startswith(_SYSTEM):
        return name, f"{name} runs {exe}, which is no place for a system's {name}", ""
    return name, "", ""


def _claimed(process: Process) -> str:
    if not process.argv:
        return process.comm if process.comm in _RUNNERS else ""
    name = basename(process.argv[0])
    if name == "busybox" and len(process.argv) > 1:
        name = process.argv[1]
    return name if name in _RUNNERS else ""


def _shown(process: Process) -> str:
    if not process.argv:
        return f"[{process.comm}]"
    first, *rest = process.argv
    text = " ".join((first if " " in first else basename(first), *rest[:24]))
    return text if len(text) <= SHOWN else f"{text[: SHOWN - 3]}..."


def subject(look: Look, process: Process) -> str:
    """A process for a person: "python version_history.py (pid 4711)"."""
    return f"{look.text} (pid {process.pid})"
