"""The table of known programs, and the one function that recognises them.

A program is recognised by what the kernel says is executed, by the script or module that an interpreter was told to
run, or by the title that it writes over its command line; never by application_name, which anybody can set, and never
by a word that merely stands in the command line: `vim gunicorn.conf.py` is vim.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from pgusher.attribute.command import Command, Form
from pgusher.attribute.programs import apps, servers, tools, web
from pgusher.attribute.programs.kinds import Program, ProgramKind
from pgusher.attribute.programs.labels import LABELS
from pgusher.attribute.shell import basename
from pgusher.model.evidence import Certainty
from pgusher.model.pattern import pattern
from pgusher.model.values import dataclass

__all__ = ["RUNTIMES", "TABLE", "Known", "Program", "ProgramKind", "claimed", "recognise"]

TABLE: tuple[Program, ...] = (*apps.PROGRAMS, *web.PROGRAMS, *servers.PROGRAMS, *tools.PROGRAMS)
"""All known programs; where two fit, the first is meant: what is special stands before what is general."""

RUNTIMES = {
    "python": "the pools in its code (psycopg_pool: max_size; SQLAlchemy: pool_size + max_overflow, 5 + 10)",
    "node": "max of its pg Pool (default 10); Prisma: connection_limit (CPUs x 2 + 1)",
    "java": "maximumPoolSize of its HikariCP (default 10), or its other pool's",
    "dotnet": "Maximum Pool Size in its connection string (Npgsql: default 100)",
    "ruby": "pool in config/database.yml (default 5)",
    "php": "the number of its processes, one each; persistent ones for ever",
}
"""What limits a program that is in no table, by the interpreter that runs it."""


@dataclass(frozen=True, slots=True)
class Known:
    """A recognised program."""

    program: Program
    label: str
    """Which instance, "" where there is but one."""
    certainty: Certainty
    """PROVEN by the executable, LIKELY by the command line, which a process can write, GUESSED by its short name."""
    evidence: str


class _Index:
    """The table, turned round: from what is seen of a process to the programs that look so."""

    def __init__(self, table: Iterable[Program]) -> None:
        self.exe: dict[str, list[Program]] = {}
        self.script: dict[str, list[Program]] = {}
        self.module: dict[str, list[Program]] = {}
        self.jar: dict[str, list[Program]] = {}
        self.app: dict[str, Program] = {}
        self.prefixes: list[tuple[str, Program]] = []
        self.titles: list[tuple[str, Program]] = []
        self.paths: list[tuple[str, Program]] = []
        self.says: list[tuple[str, Program]] = []
        for program in table:
            for name in program.exe:
                if name.endswith("*"):
                    self.prefixes.append((name[:-1], program))
                else:
                    self.exe.setdefault(name, []).append(program)
            for name in program.script:
                self.script.setdefault(name, []).append(program)
            for name in program.module:
                self.module.setdefault(name, []).append(program)
            for name in program.jar:
                self.jar.setdefault(name, []).append(program)
            self.app.update(dict.fromkeys(program.app, program))
            self.titles += [(title, program) for title in program.title]
            self.paths += [(path, program) for path in program.path]
            self.says += [(word.casefold(), program) for word in program.says]
        # The longest first: "gunicorn: master [airflow" is not just gunicorn.
        self.titles.sort(key=lambda pair: -len(pair[0]))
        self.path_marks = pattern("|".join(re.escape(path) for path, _ in self.paths))
        self.title_starts = tuple(title for title, _ in self.titles)
        self.says_starts = tuple(word for word, _ in self.says)
        self.prefix_starts = tuple(prefix for prefix, _ in self.prefixes)


_INDEX = _Index(TABLE)


def recognise(command: Command, exe: str | None = None, comm: str = "", *, argv: bool = True) -> Known | None:
    """The known program that a process is, or None.

    `exe` is the executable as the kernel names it, None when it may not be read; `comm` the short name that is left
    when the command line is empty; `argv` whether there is a command line.
    """
    found = _by_title(command) or _by_executable(command, exe, comm, argv) or _by_target(command)
    if found is None:
        found = _by_path(command, exe)
    if found is None:
        return None
    program, certainty, evidence = found
    label = LABELS[program.label](command) if program.label else ""
    special = _INDEX.app.get(label.split(".")[0]) if label else None
    if special is not None and special is not program:
        return Known(special, "", certainty, f"{program.name} was told to run {label}")
    if program.app and label.split(".")[0] in program.app:
        label = ""
    return Known(program, label, certainty, evidence)


def claimed(application_name: str) -> Program | None:
    """The known program that an application_name says it is: the one that sends it by itself."""
    name = application_name.casefold()
    if not name.startswith(_INDEX.says_starts):
        return None
    for word, program in _INDEX.says:
        if name.startswith(word) and (
            len(name) == len(word) or not (name[len(word)].isalnum() or name[len(word)] == "_")
        ):
            return program
        if word.endswith("-") and name.startswith(word):
            return program
    return None


_Found = tuple[Program, Certainty, str]


def _by_title(command: Command) -> _Found | None:
    if not command.title or not command.title.startswith(_INDEX.title_starts):
        return None
    title, program = next(pair for pair in _INDEX.titles if command.title.startswith(pair[0]))
    return program, Certainty.LIKELY, f'its title begins with "{title.strip()}"'


def _by_executable(command: Command, exe: str | None, comm: str, argv: bool) -> _Found | None:
    if command.interpreter is not None:
        return None
    name = command.name
    programs = _INDEX.exe.get(name)
    if programs is None and name.startswith(_INDEX.prefix_starts):
        programs = [next(program for prefix, program in _INDEX.prefixes if name.startswith(prefix))]
    if programs is None:
        return None
    program = next((p for p in programs if _words_fit(p, command)), None)
    if program is None:
        return None
    if exe:
        return program, Certainty.PROVEN, f"the kernel says that {basename(exe)} is executed"
    if argv:
        return program, Certainty.LIKELY, f"its command line begins with {name}"
    return (program, Certainty.GUESSED, f"its short name is {comm}") if name == comm else None


def _by_target(command: Command) -> _Found | None:
    if command.interpreter in (None, "shell"):
        return None
    target, form = command.target, command.form
    programs: list[Program] | None = None
    if form is Form.SCRIPT:
        programs = _INDEX.script.get(basename(target))
    elif form is Form.JAR:
        name = basename(target)
        programs = _INDEX.jar.get(name) or next(
            (found for start, found in _INDEX.jar.items() if start.endswith("*") and _versioned(name, start[:-1])), None
        )
    elif form in (Form.MODULE, Form.CLASS):
        name = target
        while name and programs is None:
            programs = _INDEX.module.get(name)
            name = name.rpartition(".")[0]
    whole = form is not Form.MODULE or target in _INDEX.module
    program = next((p for p in programs or () if (whole or p.within) and _words_fit(p, command)), None)
    if program is None:
        return None
    # A path of its own says more than a name that many share: Keycloak is a Quarkus.
    special = _by_path(command, None)
    if special is not None:
        return special
    return program, Certainty.LIKELY, f"{command.interpreter} runs its {form.value} {basename(target)}"


def _by_path(command: Command, exe: str | None) -> _Found | None:
    if command.interpreter is None:
        seen = [exe] if exe else []
    elif command.interpreter == "shell":
        return None
    else:
        seen = [command.target, *(option for option in command.options if "/" in option)]
    if not any(map(_INDEX.path_marks.search, seen)):
        return None
    for path, program in _INDEX.paths:
        if any(path in text for text in seen) and _words_fit(program, command):
            certainty = Certainty.PROVEN if command.interpreter is None else Certainty.LIKELY
            return program, certainty, f'its path has "{path.strip("/")}" in it'
    return None


def _words_fit(program: Program, command: Command) -> bool:
    if not program.words or (command.interpreter is None and program.exe):
        return True
    text = " ".join((*command.options, command.target, *command.args))
    return any(word in text for word in program.words)


def _versioned(name: str, start: str) -> bool:
    """Whether a jar is `start` with a version: metabase-0.50.1.jar."""
    return name.startswith(start) and name[len(start) : len(start) + 1] in {"-", ".", "_"}
