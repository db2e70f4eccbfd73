"""What a command line runs: the interpreter, the script or module, and the arguments behind it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from enum import StrEnum
from functools import lru_cache
from zlib import crc32

from pgusher.attribute.shell import SHELLS, basename, inner, shell_code, simple_commands
from pgusher.model.pattern import pattern
from pgusher.model.values import dataclass


class Form(StrEnum):
    """In what form an interpreter was told what to run."""

    NONE = "none"
    """No interpreter, or one that reads its commands from a person or a pipe."""
    SCRIPT = "script"
    MODULE = "module"
    CODE = "code"
    """Code on the command line (-c, -e)."""
    JAR = "jar"
    CLASS = "class"


@dataclass(frozen=True, slots=True)
class Command:
    """A command line, taken apart. Texts are as written, hostile until rendered."""

    name: str
    """What is executed, without its directory: "python3.11", "psql"."""
    interpreter: str | None = None
    """Its family: python, node, ruby, perl, php, java, dotnet, r, shell."""
    form: Form = Form.NONE
    target: str = ""
    """The script's path, the module's, class's or jar's name, the code."""
    args: tuple[str, ...] = ()
    """Behind the target; behind the name when there is none."""
    options: tuple[str, ...] = ()
    """The interpreter's own options, before the target."""
    title: str = ""
    """The whole, when the process has written its title over its command line (setproctitle)."""

    @property
    def label(self) -> str:
        """The shortest word by which a person knows it: "report.py", "app.worker", "psql"."""
        if self.title:
            return re.split(r"[\s:\[(]", self.title.strip("[( "), maxsplit=1)[0] or self.name
        if self.form is Form.CODE:
            return f"{self.interpreter}-c"
        if self.form in (Form.SCRIPT, Form.JAR):
            return basename(self.target)
        return self.target or self.name


_FAMILIES = pattern(
    r"(?P<python>(?:python|pypy)[\d.]*t?(?:-dbg|d)?|ipython3?)|(?P<node>node(?:js)?|bun|deno)"
    r"|(?P<ruby>j?ruby[\d.]*)|(?P<perl>perl[\d.]*)|(?P<php>php[\d.]*(?:-cli)?)|(?P<java>java)|(?P<dotnet>dotnet)"
    r"|(?P<r>R|Rscript)|(?P<shell>sh|bash|dash|zsh|ksh|mksh|ash|fish|csh|tcsh|rbash)"
)


@lru_cache(maxsize=1024)
def family(name: str) -> str | None:
    """The family of interpreters that an executable's name belongs to, if it is one."""
    match = _FAMILIES.fullmatch(name.removeprefix("-"))
    return match.lastgroup if match else None


# One executable that is many programs, told apart by the name under which it is called.
_MANY_IN_ONE = frozenset({"busybox", "toybox", "coreutils", "multicall"})


def read_command(argv: Sequence[str], exe: str | None = None, comm: str = "") -> Command:
    """Takes a command line apart. Any words are taken; what is not understood is left as it is.

    `exe` is what the kernel says is executed: it is believed before argv[0], which a process may write.
    """
    words = [word for word in argv[:64] if word] if "" in argv else argv
    if not words:
        return Command(name=basename(_executed(exe)) or comm or "?")
    first = words[0]
    if len(words) == 1 and " " in first and not first.startswith("/"):
        return Command(name=basename(_executed(exe)) or comm or (first.split() or "?")[0], title=first)
    called = basename(first)
    name = basename(_executed(exe)) or called
    if name in _MANY_IN_ONE:
        name = called if called not in _MANY_IN_ONE else (basename(words[1]) if len(words) > 1 else called)
    kind = family(name)
    if kind is None:
        return Command(name=name, args=tuple(words[1:]))
    return _READERS.get(kind, _plain)(name, kind, words[1:])


def _executed(exe: str | None) -> str:
    """The kernel adds " (deleted)" when the file was replaced, as after an upgrade."""
    return exe.removesuffix(" (deleted)") if exe else ""


def _plain(name: str, kind: str, words: Sequence[str]) -> Command:
    """Node, ruby, perl, php, R: options, then a script. Options with a value are those listed for the family."""
    with_value, code = _OPTIONS.get(kind, (frozenset(), frozenset()))
    at = 0
    while at < len(words):
        word = words[at]
        if word == "--":
            at += 1
            break
        if not word.startswith("-") or word == "-":
            break
        if word in code:
            return Command(name, kind, Form.CODE, _at(words, at + 1), tuple(words[at + 2 :]), tuple(words[:at]))
        if word.startswith("--file="):  # R -f, as Rscript calls it
            return Command(name, kind, Form.SCRIPT, word[7:], tuple(words[at + 1 :]), tuple(words[:at]))
        at += 2 if word in with_value else 1
    if kind == "node" and at < len(words) and name in {"bun", "deno"} and words[at] in {"run", "x"}:
        at += 1
    return _script(name, kind, words, at)


def _script(name: str, kind: str, words: Sequence[str], at: int) -> Command:
    # An open file is not a script that anybody could name; one in /dev/shm is.
    if at >= len(words) or words[at] == "-" or words[at].startswith(("/dev/fd/", "/dev/stdin", "/dev/tty", "/proc/")):
        return Command(name, kind, args=tuple(words[at:]), options=tuple(words[:at]))
    return Command(name, kind, Form.SCRIPT, words[at], tuple(words[at + 1 :]), tuple(words[:at]))


def _at(words: Sequence[str], place: int) -> str:
    return words[place] if place < len(words) else ""


_OPTIONS: dict[str, tuple[frozenset[str], frozenset[str]]] = {
    "node": (
        frozenset({"-r", "--require", "--import", "--loader", "--experimental-loader", "-C", "--conditions"}),
        frozenset({"-e", "--eval", "-p", "--print"}),
    ),
    "ruby": (frozenset({"-r", "-I", "-C", "-E"}), frozenset({"-e"})),
    "perl": (frozenset({"-I"}), frozenset({"-e", "-E"})),
    "php": (frozenset({"-d", "-c", "-z", "--define", "--php-ini"}), frozenset({"-r", "--run"})),
}


def _python(name: str, kind: str, words: Sequence[str]) -> Command:
    """Source of the options: "Command line and environment" in the Python documentation."""
    at = 0
    while at < len(words):
        word = words[at]
        if not word.startswith("-") or word == "-":
            break
        if word == "--":
            at += 1
            break
        if word.startswith("--"):
            at += 2 if word == "--check-hash-based-pycs" else 1
            continue
        at += 1
        for place, letter in enumerate(word[1:], 2):
            if letter in "cm":
                value, behind = (word[place:], at) if word[place:] else (_at(words, at), at + 1)
                form = Form.CODE if letter == "c" else Form.MODULE
                return Command(name, kind, form, value, tuple(words[behind:]), tuple(words[: at - 1]))
            if letter in "WX":
                at += 0 if word[place:] else 1
                break
    return _script(name, kind, words, at)


_JAVA_WITH_VALUE = frozenset(
    {"-cp", "-classpath", "--class-path", "-p", "--module-path", "--add-modules", "--add-opens", "--add-exports"}
    | {"--add-reads", "--patch-module", "--upgrade-module-path", "--limit-modules", "--enable-native-access"}
)


def _java(name: str, kind: str, words: Sequence[str]) -> Command:
    """Source of the options: the manual of the java command."""
    at = 0
    while at < len(words) and words[at].startswith("-"):
        word = words[at]
        if word in {"-jar", "-m", "--module"}:
            form = Form.JAR if word == "-jar" else Form.CLASS
            target = _at(words, at + 1).rpartition("/")[2] if form is Form.CLASS else _at(words, at + 1)
            return Command(name, kind, form, target, tuple(words[at + 2 :]), tuple(words[:at]))
        at += 2 if word in _JAVA_WITH_VALUE else 1
    if at >= len(words):
        return Command(name, kind, options=tuple(words))
    return Command(name, kind, Form.CLASS, words[at], tuple(words[at + 1 :]), tuple(words[:at]))


def _shell(name: str, kind: str, words: Sequence[str]) -> Command:
    code = shell_code([name, *words])
    if code is not None:
        return Command(name, kind, Form.CODE, code)
    at = 0
    while at < len(words) and words[at].startswith(("-", "+")) and words[at] != "-":
        at += 2 if words[at] in {"-o", "+o", "-O", "+O", "--rcfile", "--init-file"} else 1
    return _script(name, kind, words, at)


_READERS = {"python": _python, "java": _java, "shell": _shell}

# Commands of a crontab line that set the scene: the job is what comes after them.
_SCENERY = frozenset(
    {"cd", "test", "[", "[[", "sleep", "export", "set", "umask", "ulimit", "true", "false", ":", "echo", "printf"}
    | {"exit", "mkdir", "rm", "touch", "date", "command", "source", ".", "unset", "pushd", "popd", "trap", "logger"}
)
_EXTENSION = pattern(r"\.(?:py|pyc|pyz|sh|bash|rb|pl|php|js|mjs|cjs|ts|jar|r|R|phar|bin)$")
# Scripts that are many commands: the first word behind says which.
_MANY_COMMANDS = frozenset({"manage", "django-admin", "artisan", "console", "rake", "rails", "occ", "airflow", "flask"})


def job_label(text: str) -> str:
    """The word by which a person knows a job, from its crontab line: the script or program that it is about.

    >>> job_label("cd /srv && flock -n /run/l timeout 9m python -u /srv/version_history.py --all >> log 2>&1")
    'version_history'
    """
    return words_label(_chosen([command for words in simple_commands(text) for command in inner(words)]))


def argv_label(argv: Sequence[str]) -> str:
    """As `job_label`, for words that no shell will read any more; code gets what tells it from other code.

    >>> argv_label(["flock", "-n", "/run/l", "sh", "-c", "cd /srv && python manage.py clean"])
    'clean'
    """
    words = _chosen([command for command in inner(argv) if any(command)]) or argv
    command = read_command(words)
    if command.form is Form.CODE:
        return f"{command.label}-{crc32(command.target.encode('utf-8', 'surrogateescape')):08x}"
    return words_label(words)


def _chosen(candidates: Sequence[Sequence[str]]) -> Sequence[str]:
    """The first that does not only set the scene."""
    return next((words for words in candidates if basename(words[0]) not in _SCENERY), next(iter(candidates), ()))


def words_label(words: Sequence[str]) -> str:
    """As `job_label`, for one command in words."""
    if not any(words):
        return "job"
    if basename(words[0]) == "run-parts":
        return basename(words[-1]) if len(words) > 1 else "run-parts"
    command = read_command(words)
    label = _EXTENSION.sub("", command.label)
    if command.form is Form.JAR:
        label = re.sub(r"-\d[\w.]*(?:-SNAPSHOT)?$", "", label)  # the next release is still the same job
    if label in _MANY_COMMANDS and command.args:
        return next((word for word in command.args if not word.startswith("-")), label)
    return label or "job"


def is_shell(command: Command) -> bool:
    """Whether it is a shell."""
    return command.name.removeprefix("-") in SHELLS
