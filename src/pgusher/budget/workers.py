"""How many processes a web server starts, by its command line."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from pgusher.attribute.shell import basename
from pgusher.model.process import Process

SERVERS = frozenset({"gunicorn", "uvicorn", "hypercorn", "granian"})
"""Those that have `--workers N`. Sources: their documentation ("Settings: workers"; "Settings: Production")."""
_SHORT = frozenset({"gunicorn", "hypercorn"})
"""Those that have `-w N`, too."""
_TITLE = re.compile(r"gunicorn: master \[")
_MOST = 10_000


def stated(processes: Iterable[Process], program: str | None) -> tuple[int, Process] | None:
    """How many workers the topmost of these processes was told to start, and that process; None when none says so.

    Only the command line is read: what stands in a configuration file or in WEB_CONCURRENCY is not known here.
    """
    name = (program or "").lower()
    if name not in SERVERS:
        return None
    for process in sorted(processes, key=lambda one: (one.start_time, one.pid)):
        number = _workers(process.argv, name)
        if number is not None:
            return number, process
    return None


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
