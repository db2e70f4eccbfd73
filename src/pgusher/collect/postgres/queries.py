"""The statements, from sql/*.sql, put together for one round trip."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable
from functools import cache

_DIRECTORY = os.path.join(os.path.dirname(__file__), "sql")
# By what loaded this module, which may be a zip: importlib.resources does the same and costs 10 ms to import.
_read: Callable[[str], bytes] = sys.modules[__name__].__spec__.loader.get_data  # type: ignore[union-attr]
_MARK = "/* pgusher */ "
"""For the server's own log: who asks this."""


@cache
def statement(name: str) -> str:
    """sql/NAME.sql without its comments, on one line. Raises OSError when the installation lacks it."""
    text = _read(os.path.join(_DIRECTORY, f"{name}.sql")).decode("ascii")
    return " ".join(re.sub(r"--[^\n]*", "", text).split())


def sample(version: int, *, settings: bool, blocking: bool, guards: str) -> tuple[str, tuple[str, ...]]:
    """One string with all statements of a sample, and the names of the results that it gives, in order.

    `version`: as server_version_num; 0 when not known. `settings`: ask for them too. `blocking`: ask who blocks whom.
    `guards`: SET LOCAL statements for a connection on which the settings of login are not in force; then a
    transaction is begun, so that they end with it and a pooler gives nobody else a session with them.
    """
    own, sessions = statement("self"), statement("sessions")
    if version < 160000:
        own = re.sub(r"pg_catalog\.pg_has_role\(session_user.*?\)", "false", own)
    if not blocking:
        sessions = re.sub(r"case when a\.wait_event_type = 'Lock' then .*? end", "null", sessions)
    # The locks last: who is there, and was not in pg_stat_activity before, is looked for.
    parts = {"self": own, "settings": statement("settings"), "sessions": sessions, "locks": statement("locks")}
    parts["traffic"] = statement("traffic")
    wanted = {"settings": settings, "locks": version < 180000, "traffic": version >= 140000}
    names = [name for name in parts if wanted.get(name, True)]
    texts = [*(parts[name] for name in names), statement("limits")]
    if guards:
        texts = ["begin read only", guards, *texts, "commit"]
    return _MARK + "; ".join(texts), (*names, "roles", "databases")


def second_look(guards: str) -> str:
    """Who holds a virtual transaction, and who is in pg_stat_activity, a moment later."""
    texts = [statement("locks"), statement("pids")]
    if guards:
        texts = ["begin read only", guards, *texts, "commit"]
    return _MARK + "; ".join(texts)
