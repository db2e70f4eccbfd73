"""A crontab as entries: what cron gives to the shell, to the byte, and what it would not take.

Pure. A line that is malformed is one gap with its place and cron's own words for it; the rest of the file goes on.
Environment lines are understood, since a line is either one or a job, but only SHELL is kept: the others may hold
secrets.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import NamedTuple

from pgusher.collect import argv
from pgusher.collect.cron.dialect import UNKNOWN, Dialect
from pgusher.collect.cron.schedule import NICKNAMES, what_is_wrong
from pgusher.model.evidence import Gap
from pgusher.model.jobs import CronEntry, CronKind
from pgusher.model.pattern import pattern
from pgusher.model.text import decode

GAPS = 20
"""How many malformed lines of one file are told one by one; the others are told as a number."""

_NULS = 100  # a torn file has thousands, and each would cost a copy of the rest
_BLANK = b" \t"
_SPACE = rb" \t\n\v\f\r"
# load_env in env.c: the name up to a blank or "=", or in quotes; the value to the end of the line, or in quotes.
_ENVIRONMENT = pattern(
    rb"(?:(?P<q>[\"'])(?P<quoted>(?:(?!(?P=q))[^=])*)(?P=q)|(?P<name>(?![\"'])[^=%b]*))[%b]*=[%b]*"
    rb"(?:(?P<v>[\"'])(?P<inside>(?:(?!(?P=v)).)*)(?P=v)[%b]*|(?P<value>(?![\"'%b]).+)|(?P<empty>))" % ((_SPACE,) * 5),
    re.S,
)
_TOKEN = pattern(rb"[^ \t]+")
_FIELD = pattern(rb"([^ \t]+)[ \t]*")
_ESCAPE = pattern(rb"\\.?|%", re.S)
_NICKNAME = pattern(rb"[^ \t\0]+")


class Crontab(NamedTuple):
    """What one file gave."""

    entries: tuple[CronEntry, ...]
    gaps: tuple[Gap, ...] = ()


class _Bad(Exception):  # noqa: N818 - it never leaves this module
    """A line that cron would not take, in its own words."""


def parse(
    text: bytes | str,
    kind: CronKind,
    file: str,
    *,
    user: str | None = None,
    dialect: Dialect = UNKNOWN,
    knows: Callable[[str], bool | None] = lambda _: None,
) -> Crontab:
    """The jobs of a crontab.

    `kind` is SYSTEM, where each line names its user, or USER, where all run as `user`. `knows` says whether there is
    a user of that name, None when that cannot be said.
    """
    raw = text.encode("utf-8", "surrogateescape") if isinstance(text, str) else text
    reader = _Reader(kind, file, user, dialect, knows)
    lines = raw.split(b"\n")
    last = lines.pop()
    for number, line in enumerate(lines, 1):
        reader.line(number, line)
    if dialect.last_newline and last.strip(_BLANK) and not last.lstrip(_BLANK).startswith(b"#"):
        reader.gap(len(lines) + 1, "no newline at the end of the file", "end the line with a newline")
    elif last:
        reader.line(len(lines) + 1, last)
    return reader.result()


class _Reader:
    def __init__(
        self, kind: CronKind, file: str, user: str | None, dialect: Dialect, knows: Callable[[str], bool | None]
    ) -> None:
        self._kind = kind
        self._file = file
        self._user = user
        self._dialect = dialect
        self._knows = knows
        self._shell: str | None = None
        self._entries: list[CronEntry] = []
        self._gaps: list[Gap] = []
        self._more = 0

    def line(self, number: int, line: bytes) -> None:
        """One line without its newline. A NUL ends an entry too: get_string in misc.c looks for ends with strchr(3)."""
        rest = line.lstrip(_BLANK)
        if rest.count(b"\0") > _NULS:
            self.gap(number, "full of NUL bytes", "restore the file")
            return
        while rest and not rest.startswith(b"#"):
            head, _, behind = rest.partition(b"\0")
            try:
                if not self._environment(head):
                    entry, behind = self._job(number, rest)
                    self._entries.append(entry)
            except _Bad as bad:
                self.gap(number, str(bad), "correct the line")
                return
            rest = behind.lstrip(_BLANK)

    def gap(self, number: int, why: str, remedy: str) -> None:
        """What is wrong with a line, and what comes of it."""
        if self._dialect.whole_file:
            remedy += f": until then {self._dialect.daemon} runs no line of this file"
        if len(self._gaps) < GAPS:
            self._gaps.append(Gap("cron", f"{self._file}:{number}", why, remedy))
        else:
            self._more += 1

    def result(self) -> Crontab:
        """All that was read."""
        if self._more:
            what = f"{self._more} more lines of {self._file}"
            self._gaps.append(Gap("cron", what, "malformed as well", "correct the lines", self._more))
        return Crontab(tuple(self._entries), tuple(self._gaps))

    def _environment(self, line: bytes) -> bool:
        match = _ENVIRONMENT.fullmatch(line)
        if match is None or (match["empty"] is not None and not self._dialect.empty_value):
            return False
        name = match["quoted"] if match["name"] is None else match["name"]
        if name == b"SHELL":
            value = match["inside"] if match["inside"] is not None else (match["value"] or b"").rstrip()
            self._shell = argv.command(decode(value)) or None
        return True

    def _job(self, number: int, line: bytes) -> tuple[CronEntry, bytes]:
        """The job, and what stands behind the NUL that ends it. Raises _Bad."""
        dash = self._dialect.dash and line.startswith(b"-")
        schedule, rest = _split_schedule(line[1:] if dash else line, self._dialect)
        user = self._user
        if self._kind is CronKind.SYSTEM:
            user, rest = self._split_user(rest)
        elif rest.startswith(b"*"):
            raise _Bad("bad command")  # a sixth star: cron takes it for a common slip
        rest, _, behind = rest.partition(b"\0")
        if not rest:
            raise _Bad("no command")
        if len(rest) > self._dialect.longest:
            raise _Bad("command too long")
        given = before_percent(rest, halves=self._dialect.halves_backslashes) if self._dialect.percent else rest
        command = argv.command(decode(given))
        return CronEntry(self._kind, self._file, number, schedule, command, user=user, shell=self._shell), behind

    def _split_user(self, rest: bytes) -> tuple[str, bytes]:
        """The user, and the command from behind the one blank that ends the name: cron skips no further one."""
        match = _TOKEN.match(rest)
        name = decode(match.group()) if match else ""
        if not match or match.end() == len(rest):
            raise _Bad("no command, or no user before it")
        if self._knows(name) is False:
            # The word is shown by nobody: where the user was forgotten, it is a part of the command.
            raise _Bad("bad username: each line of a system crontab names its user before the command")
        return name, rest[match.end() + 1 :]


def _split_schedule(line: bytes, dialect: Dialect) -> tuple[str, bytes]:
    """The schedule as written, and what stands behind it and its blanks. Raises _Bad."""
    if line.startswith(b"@"):
        match = _NICKNAME.match(line)
        nickname = match.group() if match else line
        if nickname[1:] not in NICKNAMES:
            raise _Bad("bad time specifier")
        return decode(nickname), line[len(nickname) :].lstrip(_BLANK)
    fields: list[bytes] = []
    at = 0
    while len(fields) < 5 and (field := _FIELD.match(line, at)):
        fields.append(field[1])
        at = field.end()
    wrong = what_is_wrong(fields, dialect)
    if wrong:
        raise _Bad(wrong)
    return " ".join(decode(field) for field in fields), line[at:]


def before_percent(command: bytes, *, halves: bool = True) -> bytes:
    r"""What the shell gets: all before the first %, with \% made to % and, in Debian's cron, \\ to \."""
    if b"%" not in command and b"\\\\" not in command:
        return command
    out: list[bytes] = []
    done = 0
    for mark in _ESCAPE.finditer(command):
        found = mark.group()
        if found == b"%":
            return b"".join(out) + command[done : mark.start()]
        if found == rb"\%" or (halves and found == rb"\\"):
            out.append(command[done : mark.start()] + found[1:])
            done = mark.end()
    return b"".join(out) + command[done:]
