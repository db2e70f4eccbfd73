"""/etc/anacrontab as entries. Pure. Source: readtab.c of anacron 2.3 with Debian's patches; anacrontab(5)."""

from __future__ import annotations

import re

from pgusher.collect import argv
from pgusher.collect.cron.crontab import GAPS, Crontab
from pgusher.model.evidence import Gap
from pgusher.model.jobs import CronEntry, CronKind
from pgusher.model.pattern import pattern
from pgusher.model.text import decode

_EMPTY = pattern(rb"[ \t]*(?:#.*)?", re.S)
_ENVIRONMENT = pattern(rb"[ \t]*([^ \t=]+)[ \t]*=(.*)", re.S)
_JOB = pattern(rb"[ \t]*([0-9]+|@[^ \t]+)[ \t]+([0-9]+)[ \t]+([^ \t/]+)[ \t]+([^ \t].*)", re.S)
_PERIODS = (b"@monthly", b"@yearly", b"@annually", b"@weekly", b"@daily")


def parse_anacron(raw: bytes, file: str = "/etc/anacrontab") -> Crontab:
    """The jobs of anacron: `schedule` is the period and the delay as written, `name` the job's identifier.

    They run as root, by /bin/sh whatever SHELL says (runjob.c).
    """
    entries: list[CronEntry] = []
    gaps: list[Gap] = []
    more = 0
    for number, line in _lines(raw):
        if _EMPTY.fullmatch(line) or _ENVIRONMENT.fullmatch(line):
            continue
        match = _JOB.fullmatch(line)
        if match is None or (match[1].startswith(b"@") and not match[1].startswith(_PERIODS)):
            why = "invalid syntax: anacron skips this line" if match is None else "unknown named period"
            more += len(gaps) >= GAPS
            gaps += [Gap("cron", f"{file}:{number}", why, "correct the line")] if len(gaps) < GAPS else []
        if match is None:
            continue  # a line with an unknown period, of which anacron says that it skips it, it runs each time
        period, delay, name, command = (decode(part) for part in match.groups())
        entries.append(
            CronEntry(CronKind.ANACRON, file, number, f"{period} {delay}", argv.command(command), "root", name=name)
        )
    if more:
        gaps.append(Gap("cron", f"{more} more lines of {file}", "malformed as well", "correct the lines", more))
    return Crontab(tuple(entries), tuple(gaps))


def _lines(raw: bytes) -> list[tuple[int, bytes]]:
    """The lines, each with the number of its first: a backslash at the end joins the next one by a blank.

    Any other backslash is dropped, as read_tab_line does.
    """
    lines: list[tuple[int, bytes]] = []
    start, parts = 1, []
    for number, line in enumerate(raw.split(b"\n"), 1):
        goes_on = line.endswith(b"\\")
        parts.append(line.replace(b"\\", b""))
        if not goes_on:
            lines.append((start, b" ".join(parts)))
            start, parts = number + 1, []
    if parts:
        lines.append((start, b" ".join(parts)))
    return lines
