"""How many processes a web server starts: by its command line, and by those that run below it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence

from pgusher.attribute.shell import basename
from pgusher.model.process import Process
from pgusher.model.values import dataclass

SERVERS = frozenset({"gunicorn", "uvicorn", "hypercorn", "granian"})
"""Those that have `--workers N`. Sources: their documentation ("Settings: workers"; "Settings: Production")."""
_SHORT = frozenset({"gunicorn", "hypercorn"})
"""Those that have `-w N`, too."""
_TITLE = re.compile(r"gunicorn: master \[")
_MOST = 10_000


@dataclass(frozen=True, slots=True)
class Workers:
    """How many there are, and how that is known."""

    number: int
    how: str
    """ "--workers of process 47", "they run below process 47"."""
    place: str
    """Where it is set."""


def stated(
    processes: Iterable[Process], program: str | None, running: Mapping[int, int] | None = None
) -> Workers | None:
    """How many workers the topmost of these processes has; None when nothing tells.

    By `running`, the processes below each by its pid, where that was counted: so it does not matter whether a
    configuration file, WEB_CONCURRENCY or the command line says how many. Else by the command line.
    """
    name = (program or "").lower()
    if name not in SERVERS:
        return None
    ordered = sorted(processes, key=lambda one: (one.start_time, one.pid))
    found = next(((number, one) for one in ordered if (number := _workers(one.argv, name)) is not None), None)
    below = (
        next(((running[one.pid], one) for one in ordered if (running or {}).get(one.pid)), None) if running else None
    )
    if below is not None and (found is None or below[0] > found[0]):
        where = "its command line, its configuration file or WEB_CONCURRENCY"
        return Workers(below[0], f"they run below process {below[1].pid}", where)
    if found is None:
        return None
    return Workers(found[0], f"--workers of process {found[1].pid}", f"the command line of process {found[1].pid}")


def _workers(argv: Sequence[str], name: str) -> int | None:
    """The number behind --workers, where the command line is that of the server."""
    words = argv
    if len(argv) == 1 and _TITLE.match(argv[0]):
        return None  # it has written its title over its command line
    start = next((at for at, word in enumerate(words[:6]) if basename(word) == name), None)
    if start is None:
        return None
    found = None
    for at in range(start + 1, len(words)):
        flag, equals, value = words[at].partition("=")
        if flag == "--workers" or (flag == "-w" and name in _SHORT):
            found = value if equals else words[at + 1] if at + 1 < len(words) else ""
        elif name in _SHORT and re.fullmatch(r"-w\d+", words[at]):
            found = words[at][2:]
    if found is None or not re.fullmatch(r"[0-9]{1,5}", found) or not 0 < int(found) <= _MOST:
        return None
    return int(found)
