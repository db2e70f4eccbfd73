"""Tracebacks in the log of a job: where its standard error goes, if that is a file.

Of a traceback only places and the class of the error are kept: messages hold what the program worked on.
"""

from __future__ import annotations

import os
import stat

from pgusher.model.pattern import pattern
from pgusher.model.stacks import Clue, ClueKind, is_foreign

_LIMIT = 1 << 18
"""Bytes read from the end of a log."""
_MOST = 20
_BEGIN = pattern(r"^\s*(?:Traceback \(most recent call last\):|Exception in thread .{1,200}:)\s*$")
_PLACE = pattern(r'^\s+File "([^"\n]{1,1000})", line (\d{1,7}), in (.{1,200})$')
_ERROR = pattern(r"^\s*([A-Za-z_][\w.]{0,100})(?::|$)")


def tracebacks(proc: str, pid: int) -> list[Clue]:
    """One clue for each traceback at the end of the log, the last one last. Never raises."""
    for number in (2, 1):
        try:
            raw = _tail(f"{proc}/{pid}/fd/{number}")
        except OSError:
            continue
        found = parse(raw.decode("utf-8", "replace"))
        if found:
            return found
    return []


def _tail(path: str) -> bytes:
    fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    try:
        status = os.fstat(fd)
        if not stat.S_ISREG(status.st_mode):
            return b""
        return os.pread(fd, _LIMIT, max(0, status.st_size - _LIMIT))
    finally:
        os.close(fd)


def parse(text: str) -> list[Clue]:
    """The tracebacks in a text: for each the place of each frame is looked at by who knows which files are the user's.

    The innermost frame outside the standard library and installed packages is taken. Raises nothing.
    """
    found: list[Clue] = []
    places: list[tuple[str, int, str]] = []
    inside = False
    for line in text.splitlines():
        if _BEGIN.match(line):
            inside, places = True, []
        elif inside and (match := _PLACE.match(line)):
            places.append((match[1], int(match[2]), match[3]))
        elif inside and places and not line.startswith(" ") and (match := _ERROR.match(line)):
            inside = False
            own = [place for place in places if not is_foreign(place[0])] or places
            file, number, function = own[-1]
            found.append(Clue(ClueKind.TRACEBACK, match[1].rpartition(".")[2], file, number, function))
    return found[-_MOST:]
