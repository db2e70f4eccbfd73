"""Lines of a crontab put under the guard. Pure: bytes in, bytes out, and no byte changed that need not be.

What cron does with a line stays as it is: the fields, the user, what stands behind the first % (the job's input). The
words `pgusher run --timeout 9m --` go before a simple command; one of several commands, pipes or a `cd` becomes the
argument of the shell that would have run it. A line that is not understood whole is left alone, with the reason.
"""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Callable, Sequence
from itertools import pairwise

from pgusher.model.jobs import CronEntry, CronKind
from pgusher.model.pattern import pattern
from pgusher.model.values import dataclass

Micros = int
ADOPTED, GUARDED, LEFT = "adopted", "guarded", "left"

_USER = pattern(rb"[ \t]*-?(?:@[^ \t]+|(?:[^ \t]+[ \t]+){4}[^ \t]+)[ \t]+")
_SYSTEM = pattern(_USER.pattern + rb"[^ \t]+[ \t]")
_HEAD = pattern(rb"(?:[^\\%]|\\.|\\\Z)*", re.S)
_TOKEN = pattern(
    r"(?P<blank>[ \t]+)|(?P<comment>(?<![^ \t])#.*)"
    r"|(?P<redirect>\d*(?:>>|>&|<&|>\||<>|<<<|<<|[<>]))"
    r"|(?P<both>&>>?)|(?P<operator>&&|\|\||\|&|;;|[;|()\n`]|\$\()|(?P<background>&)"
    r"|(?P<word>(?:[^\s'\"\\;&|()<>`$]|\\.|'[^']*'|\"(?:[^\"\\`$]|\\.|\$(?!\())*\"|\$(?!\())+)"
    r"|(?P<other>.)",
    re.S,
)
_BOTH_IS_ONE = frozenset({"bash", "zsh"})
"""Shells that take &> for one redirection; POSIX, and so dash, takes it for & and >."""
_ASSIGNMENT = pattern(r"[A-Za-z_]\w*\+?=")
_OF_THE_SHELL = frozenset(
    {"cd", ".", "source", "[", "[[", "test", "if", "for", "while", "until", "case", "select", "function", "{", "!"}
    | {"time", "exec", "eval", "export", "set", "umask", "ulimit", "unset", "trap", "command", "builtin", "alias"}
    # Their own program prints something else: dash's echo knows \\n, /bin/echo does not; there is no /bin/type.
    | {"echo", "printf", "type", "hash", "kill", "times", "jobs", "shift", "let", "typeset", "mapfile", "readarray"}
    | {"shopt", "pushd", "popd", "wait", "read", "exit", "return", "declare", "local", "readonly"}
)
_STAYS = pattern(
    r"(?:^|[\s;&|(/])(nohup|setsid|start-stop-daemon|daemonize|screen|tmux|disown|service|invoke-rc\.d|"
    r"(?:rc|init)\.d/[\w.@-]+)(?=\s|$)"
)
"""The last ones start daemons of the system: where no systemd does it for them, those are their children."""
_GUARDED = pattern(r"(?:^|[\s;&|(/'\"])pgusher['\"]?\s+run\b")
_BACKGROUND = "it leaves a process in the background, which the guard would end"
_READS_TEXT = pattern(r"(?:.*/)?(?:(?:ba|da|k|mk|z|a)?sh|su|runuser)")
_TEXT_OPTION = pattern(r"-[A-Za-z]*c|--command")
_COMMENT = pattern(r"(?:^|(?<=[\s;&|()]))#[^'\"]*\Z")
"""What is surely one: a # in quotes has a quote behind it."""
_RUN_PARTS = pattern(r"(?:^|[\s;&|(/])(run-parts|anacron)(?=\s|$)")


@dataclass(frozen=True, slots=True)
class Line:
    """What is to become of one job of a crontab."""

    entry: CronEntry
    state: str
    """ADOPTED, GUARDED (it was already) or LEFT."""
    why: str = ""
    """Why it is left."""
    name: str = ""
    limit: str = ""
    """As the guard takes it: "9m"."""
    before: bytes = b""
    after: bytes = b""
    """The whole line, without its end."""


def limit_of(pause: Micros) -> str:
    """The limit for a job that is started again after `pause`: nine tenths of it, so that it is gone by then."""
    seconds = pause * 9 // 10 // 1_000_000
    for size, letter, least in ((86400, "d", 4), (3600, "h", 2), (60, "m", 2)):
        if seconds >= size * least:
            return f"{seconds // size}{letter}"
    return f"{max(1, seconds)}s"


def adopt(
    raw: bytes,
    entries: Sequence[CronEntry],
    terms: Callable[[CronEntry], tuple[str, Micros | None]],
    *,
    program: str = "pgusher",
    longest: int = 998,
) -> tuple[bytes, tuple[Line, ...]]:
    """The crontab with its jobs guarded, and what became of each job.

    `entries` are what was read of `raw`; `terms` gives the name of a job and its shortest pause; `program` is how cron
    finds pgusher, and `longest` the most bytes that its command may have there.
    """
    lines = raw.split(b"\n")
    counts: dict[int, int] = {}
    for entry in entries:
        counts[entry.line] = counts.get(entry.line, 0) + 1
    found: list[Line] = []
    for entry in entries:
        before = lines[entry.line - 1]
        if counts[entry.line] > 1 or b"\0" in before:
            found.append(Line(entry, LEFT, "the line holds a NUL byte", before=before, after=before))
            continue
        one = _line(entry, before, terms, program, longest)
        lines[entry.line - 1] = one.after
        found.append(one)
    return b"\n".join(lines), tuple(found)


def _line(
    entry: CronEntry,
    before: bytes,
    terms: Callable[[CronEntry], tuple[str, Micros | None]],
    program: str,
    longest: int,
) -> Line:
    def left(why: str, state: str = LEFT) -> Line:
        return Line(entry, state, why, before=before, after=before)

    place = (_SYSTEM if entry.kind is CronKind.SYSTEM else _USER).match(before)
    if place is None or entry.kind not in {CronKind.SYSTEM, CronKind.USER}:
        return left("it is no line of a crontab")
    text = before[place.end() :].decode("latin-1")
    if _GUARDED.search(_COMMENT.sub("", text)):
        return left("", GUARDED)
    if before.endswith(b"\r"):
        return left("the line ends in a carriage return, which cron gives to the command")
    shell = entry.shell or "/bin/sh"
    if _READS_TEXT.fullmatch(shell) is None:
        return left(f"it is written for {shell}, which reads quotes and words in another way than sh")
    name, pause = terms(entry)
    if pause is None:
        return left("no limit follows from its schedule: give it one by hand")
    limit = limit_of(pause)
    made = guarded(text, [program, "run", "--timeout", limit], name, shell)
    if made.why:
        return left(made.why)
    command = made.text.encode("latin-1")
    if len(command) > longest:
        return left(f"the command would have {len(command)} bytes, and cron takes {longest}")
    return Line(entry, ADOPTED, name=name, limit=limit, before=before, after=before[: place.end()] + command)


@dataclass(frozen=True, slots=True)
class Made:
    """A command under the guard, or why there is none."""

    text: str = ""
    why: str = ""


def guarded(text: str, words: Sequence[str], name: str, shell: str) -> Made:
    """A command as it stands in a crontab, with those words before it."""
    head = _HEAD.match(text.encode("latin-1"))
    size = head.end() if head else 0
    command, behind = text[:size], text[size:]
    blanks = command[: len(command) - len(command.lstrip(" \t"))]
    command = command[len(blanks) :]
    if not command:
        return Made(why="there is no command")
    if (found := _RUN_PARTS.search(command)) is not None:
        return Made(why=f"{found[1]} runs many jobs: guard each of them")
    if (found := _STAYS.search(command)) is not None:
        return Made(why=f"{found[1]} leaves a process behind, which the guard would end")
    simple, place, why = _simple(command)
    if not why and os.path.basename(shell) not in _BOTH_IS_ONE and _has_both(command):
        why = "&> is a process in the background where the shell is dash: write > FILE 2>&1"
    why = why or _in_quotes(command)
    if why:
        return Made(why=why)
    options = shlex.join([*words, "--name", name]).replace("%", "\\%")
    # Debian's cron halves two backslashes, so that the shell may read something else than what stands there.
    if simple and "\\\\" not in command:
        return Made(f"{blanks}{command[:place]}{options} -- {command[place:]}{behind}")
    tail = command.rstrip(" \t")
    quoted = "'" + tail.replace("'", "'\"'\"'") + "'"
    return Made(f"{blanks}{options} -- {shlex.quote(shell)} -c {quoted}{command[len(tail) :]}{behind}")


def _simple(command: str) -> tuple[bool, int, str]:
    """Whether it is one command, where that begins behind assignments, and why it cannot be guarded at all."""
    simple = True
    start: int | None = None
    target = False
    for token in _TOKEN.finditer(command):
        kind, word = token.lastgroup, token.group()
        if kind == "background":
            return False, 0, _BACKGROUND
        if kind == "other" and word in "'\"\\":
            if word != '"' or not re.match(r'"(?:[^"\\]|\\.)*"', command[token.start() :], re.S):
                return False, 0, "a quote is not closed"
            simple = False  # a substitution in quotes
            if "&" in command:
                return False, 0, "it is not understood: a substitution in quotes and an &"
            break
        if kind in {"operator", "both", "other"}:
            simple = False
        elif kind == "redirect":
            simple = simple and start is not None
            target = True
        elif kind == "word":
            if target:
                target = False
            elif start is None and not _ASSIGNMENT.match(word):
                start = token.start()
                simple = simple and word not in _OF_THE_SHELL
    if start is None and simple:
        return False, 0, "it sets variables and runs nothing"
    return simple, start or 0, ""


def _has_both(command: str) -> bool:
    return any(token.lastgroup == "both" for token in _TOKEN.finditer(command))


def _in_quotes(command: str) -> str:
    """Why a text that is given to another shell cannot be guarded: `sh -c 'daemon &'`."""
    try:
        words = shlex.split(command)
    except ValueError:
        return ""
    for at, word in enumerate(words):
        if not _READS_TEXT.fullmatch(word):
            continue
        code = next((b for a, b in pairwise(words[at + 1 : at + 8]) if _TEXT_OPTION.fullmatch(a)), "")
        behind = _has_both(code) and os.path.basename(word) not in _BOTH_IS_ONE
        # One that waits for what it has put there leaves nothing.
        if (behind or _simple(code)[2] == _BACKGROUND) and not re.search(r"\bwait\b", code):
            return _BACKGROUND
    return ""
