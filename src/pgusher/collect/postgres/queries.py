"""The statements, from sql/*.sql, put together for one round trip."""

from __future__ import annotations

import os
import re
from functools import cache

_DIRECTORY = os.path.join(os.path.dirname(__file__), "sql")
_MARK = "/* pgusher */ "
"""For the server's own log: who asks this."""


@cache
def statement(name: str) -> str:
    """sql/NAME.sql without its comments, on one line. Raises OSError when the installation lacks it."""
    with open(os.path.join(_DIRECTORY, f"{name}.sql"), encoding="ascii") as file:
        text = file.read()
    return " ".join(re.sub(r"--[^\n]*", "", text).split())


def sample(version: int, *, settings: bool, blocking: bool, guards: str) -> tuple[str, tuple[str, ...]]:
    """One string with all statements of a sample, and the names of the results that it gives, in order.

    `version`: as server_version_num; 0 when not known. `settings`: ask for them too. `blocking`: ask who blocks whom.
    `guards`: SET LOCAL statements for a connection on which the settings of login are not in force; then a
    transaction is begun, so that they end with it and a pooler gives nobody else a session with them.
    """
    unseen = version < 180000
    names = ["self", *(["settings"] if settings else []), *(["locks"] if unseen else []), "sessions"]
    parts = [statement(name) for name in names]
    if not blocking:
        parts[-1] = re.sub(r"case when a\.wait_event_type = 'Lock' then .*? end", "null", parts[-1])
    if unseen:
        names.append("unseen")
        parts.append(statement("unseen"))
    names += ["roles", "databases"]
    parts.append(statement("limits"))
    if guards:
        parts = ["begin read only", guards, *parts, "commit"]
    return _MARK + "; ".join(parts), tuple(names)
