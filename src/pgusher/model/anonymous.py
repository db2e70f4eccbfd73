"""Facts without the names of a site: what a colleague or a bug report may have.

Every text of every fact is replaced word by word, except where a field is known to hold nothing but PostgreSQL's, the
kernel's or pgusher's own words. A new field is replaced by itself: to be shown it has to be named here.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import fields, is_dataclass, replace
from enum import Enum
from typing import Any, TypeVar, cast

from pgusher.model.facts import Facts
from pgusher.model.pseudonym import Pseudonyms
from pgusher.model.stacks import Frame

T = TypeVar("T")

_KEPT = frozenset(
    {
        "Session.backend_type", "Session.state", "Session.wait_event_type", "Session.wait_event",
        "Server.version", "Setting.name", "Setting.unit", "Setting.source",
        "ClientSocket.tcp_state", "Process.state", "CronEntry.schedule", "Container.runtime",
        "Gap.source", "Attempt.sqlstate", "Attempt.refused_by", "ThreadStack.state", "ThreadStack.wchan",
        "ThreadStack.syscall", "WaitedFile.kind", "ProcessStacks.state", "ProcessStacks.python",
        "PoolLimit.program", "PoolLimit.setting",
        "DataSource.type", "Grafana.version", "Grafana.replicas_from",
    }
)  # fmt: skip
"""Written by PostgreSQL, the kernel or pgusher, from words of their own."""
_TOLD = frozenset(
    {
        "Gap.what",
        "Gap.why",
        "Gap.opens",
        "Attempt.target",
        "Attempt.outcome",
        "View.refuses",
        "Ceilings.source",
        "Figure.origin",
        "Limits.broken",
        "Match.why",
    }
)
"""Sentences, with names inside."""
_KINDS = {
    "Session.user": "role", "View.role": "role", "Session.database": "db", "Session.application_name": "app",
    "Process.user": "user", "CronEntry.user": "user", "Server.os_user": "user", "Host.user": "user",
    "Host.name": "host", "Server.host": "host", "Unit.name": "unit", "Container.name": "container",
    "DataSource.user": "role", "DataSource.database": "db", "DataSource.host": "host", "OwnDatabase.user": "role",
    "OwnDatabase.database": "db", "OwnDatabase.host": "host",
}  # fmt: skip
"""What the words of a field are called when they are met there first."""


def anonymous(facts: Facts, names: Pseudonyms) -> Facts:
    """The same facts with other names. Several servers of one look share one `names`."""
    # Their own fields first, so that a role is called role1, wherever else its name occurs.
    for session in facts.sessions:
        names.strict(session.user or "", "role")
        names.strict(session.database or "", "db")
    for entry in facts.cron:
        names.strict(entry.command)
    for process in facts.processes:
        for word in process.argv:
            names.strict(word)
    return walked(facts, names)


def walked(value: T, names: Pseudonyms) -> T:
    """Any value of the model with its texts replaced."""
    if isinstance(value, tuple):
        return cast("T", tuple(walked(item, names) for item in value))
    if not is_dataclass(value) or isinstance(value, type):
        return value
    if isinstance(value, Frame):
        return cast("T", _frame(value, names))
    changed: dict[str, Any] = {}
    for field in fields(value):
        inner = getattr(value, field.name)
        place = f"{type(value).__name__}.{field.name}"
        new: Any = inner
        if isinstance(inner, str) and not isinstance(inner, Enum):
            new = _text(place, inner, names)
        elif isinstance(inner, tuple):
            new = tuple(
                _text(place, item, names)
                if isinstance(item, str) and not isinstance(item, Enum)
                else walked(item, names)
                for item in inner
            )
        else:
            new = walked(inner, names)
        if new is not inner and new != inner:
            changed[field.name] = new
    return replace(value, **changed) if changed else value


def _text(place: str, text: str, names: Pseudonyms) -> str:
    if place in _KEPT:
        return text
    if place in _TOLD:
        return names.told(text)
    if special := _SPECIAL.get(place):
        return special(names, text)
    return names.strict(text, _KINDS.get(place, "name"))


def _frame(frame: Frame, names: Pseudonyms) -> Frame:
    """A frame of a library that anybody may have stays, but for where it is installed. The text of a line goes."""
    found = _LIBRARY.search(frame.file)
    place, rest = (frame.file[: found.end()], frame.file[found.end() :]) if found else ("", frame.file)
    top = rest.partition("/")[0] if "/" in rest else rest.removesuffix(".py")
    if (found and top in names.modules) or _FROZEN.fullmatch(frame.file):
        return replace(frame, file=names.strict(place) + rest, text="")
    return replace(frame, file=names.strict(frame.file), function=names.strict(frame.function), text="")


_LIBRARY = re.compile(r"(?:^|/)python[\d.]*/(?:(?:site|dist)-packages/)?(?!.*(?:site|dist)-packages/)")
_FROZEN = re.compile(r"<frozen [a-z_.]+>")
_SPECIAL: dict[str, Callable[[Pseudonyms, str], str]] = {
    "Process.comm": lambda names, text: names.cut(text, 15),  # TASK_COMM_LEN (proc(5))
    "ProcessStacks.comm": lambda names, text: names.cut(text, 15),
    "ThreadStack.name": lambda names, text: names.cut(text, 15),
}
