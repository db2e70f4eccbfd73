"""The names by which a process is judged, from what the kernel and its command line say. Pure.

What is executed, what an interpreter was told to run, what stands behind `env`, `nice` or `timeout`. Arguments of a
program that is understood are none of its names: `psql -h pgbouncer` is no pooler. Where it is not understood what
runs, a word that names what is never ended is taken for it: to protect, a claim is enough.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from pgusher.attribute.command import Command, Form, family, read_command
from pgusher.attribute.shell import SHELLS, WRAPPERS, basename, inner
from pgusher.model.pattern import pattern

_MOST = 8
"""Words of a command line in which a claim is looked for."""
_CODE = 400
"""Characters of code on a command line in which an import is looked for."""
_RUNNERS = frozenset(
    {"uv", "uvx", "poetry", "pipx", "pipenv", "pdm", "hatch", "rye", "conda", "mamba", "micromamba", "npx", "bundle"}
    | {
        "strace",
        "ltrace",
        "gdb",
        "perf",
        "valgrind",
        "unshare",
        "nsenter",
        "chroot",
        "setpriv",
        "runuser",
        "su",
        "gosu",
    }
    | {"su-exec", "setarch", "prlimit", "cpulimit", "numactl", "systemd-run", "faketime", "eatmydata", "torsocks"}
    | {"dbus-run-session", "script", "watch", "catchsegv", "firejail", "bwrap", "pgusher"}
)
"""Programs that run another one, beside those whose options are known (pgusher.attribute.shell)."""
_BINARIES = pattern(r"(?:^|/)s?bin/[^/]+$")
_IMPORT = pattern(r"\b(?:from|import)\s+([A-Za-z_][\w.]*)")
CLAIMS = frozenset(
    {"pg_basebackup", "pg_dump", "pg_dumpall", "pg_restore", "pg_receivewal", "pg_recvlogical", "pgbackrest", "wal-g"}
    | {"wal-g-pg", "barman", "patroni", "repmgrd", "repmgr", "pg_autoctl", "pgbouncer", "pgpool", "pgcat", "pg_doorman"}
    | {"pgagroal", "pgdog", "supervisord", "s6-svscan", "runsvdir", "dockerd", "containerd", "supercronic"}
)
"""Names that are no ordinary words: as a bare argument they mean the program. Not so "postgres", which is a role and a
database as well, or "login"."""


def names_of(comm: str, exe: str | None, argv: Sequence[str]) -> list[str]:
    """The names of a process: its short name as the kernel has it, its executable's path, its arguments.

    A name is a path or a word; some are given twice.
    """
    words = [word for word in argv[:64] if word]
    found = [exe or "", comm, *words[:1]]
    if words:
        command = read_command(words, exe, comm)
        if command.title:
            found.append(command.label)
        found += _told(command)
        found += _inside(words)
        if _unclear(command, basename(words[0])):
            found += claims(words)
    return [name.removesuffix(" (deleted)") for name in found if name]


def _told(command: Command) -> Iterator[str]:
    """What an interpreter was told to run."""
    if command.form in (Form.SCRIPT, Form.JAR):
        yield command.target
    elif command.form is Form.MODULE:
        # "python -m supervisor.supervisord", "python -m barman.cli"; but jobs.postgres is no PostgreSQL.
        parts = command.target.split(".")
        yield command.target.removesuffix(".__main__")
        yield from (part for part in parts if part in CLAIMS)
    elif command.form is Form.CODE and command.interpreter == "python":
        found = _IMPORT.findall(command.target[:_CODE])
        yield from (part for name in found for part in name.split(".") if part in CLAIMS)


def _inside(words: Sequence[str]) -> list[str]:
    """What `env`, `nice`, `timeout` and the like stand before, where that is one program.

    Of a text for a shell nothing is concluded: what it starts are processes of their own, and what is over by now
    protects nobody.
    """
    if basename(words[0]) in SHELLS:
        return []
    commands = inner(words)
    if len(commands) != 1 or commands[0] == list(words) or not commands[0]:
        return []
    rest = commands[0]
    command = read_command(rest)
    return [rest[0], *_told(command), *(claims(rest) if _unclear(command, basename(rest[0])) else ())]


def _unclear(command: Command, called: str) -> bool:
    """Whether something else may run than what was understood."""
    name = command.name
    if name in SHELLS or called in SHELLS or command.form is Form.CODE:
        return False
    # An interpreter's script may run another one: "python ddtrace-run barman", "python -m runpy barman".
    return family(name) is not None or name in WRAPPERS or name in _RUNNERS or called in WRAPPERS or called in _RUNNERS


def claims(words: Sequence[str]) -> Iterator[str]:
    """Of the first words those that may name what runs: no options, and not what stands behind one ("--host NAME")."""
    behind = False
    for word in words[1:_MOST]:
        option = word.startswith("-") and len(word) > 1
        if not option and (_BINARIES.search(word) or (not behind and basename(word) in CLAIMS)):
            yield word
        behind = option and "=" not in word
