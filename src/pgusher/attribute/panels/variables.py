"""A dashboard's variables as holes: `$name`, `${name:format}`, `[[name]]`, and those that every dashboard has.

Grafana replaces them in the browser, before its server sees the macros; only alert rules are sent without that
(sources: public/app/features/templating/template_srv.ts, its `variableRegex`; Grafana's documentation, "Variable
syntax" and "Global variables").
"""

from __future__ import annotations

import re
from collections.abc import Container

from pgusher.attribute.panels.holes import DATA, DURATION, LOOSE, NUMBER, WILD

_VARIABLE = re.compile(
    r"\$(?:"
    r"(?P<tag>(?:[^\W\d]\w*)?)\$(?P<inside>.*?)\$(?P=tag)\$"
    r"|(?P<plain>\w+)"
    r"|\{(?P<braced>\w+)(?:\.(?P<path>[^:^}]+))?(?::(?P<format>[^}]+))?\}"
    r")|\[\[(?P<old>\w+?)(?::(?P<old_format>\w+))?\]\]",
    re.S,
)
_NUMBERS = frozenset({"__interval_ms", "__from", "__to", "__range_s", "__range_ms", "__rate_interval_ms"})
_DURATIONS = frozenset({"__interval", "__range", "__rate_interval"})
MACROS = frozenset({
    "__time", "__timeEpoch", "__timeFilter", "__timeFrom", "__timeTo", "__timeGroup", "__timeGroupAlias",
    "__unixEpochFilter", "__unixEpochNanoFilter", "__unixEpochNanoFrom", "__unixEpochNanoTo",
    "__unixEpochFrom", "__unixEpochTo", "__unixEpochGroup", "__unixEpochGroupAlias",
})  # fmt: skip
"""Every macro of the PostgreSQL data source that is written with parentheses."""


def with_holes(sql: str, wild: Container[str] = (), loose: Container[str] = ()) -> str:
    """The SQL with a hole for each variable; those in `wild` may stand for SQL, those in `loose` for an expression.

    A name that the dashboard does not define is a hole too: library panels take the variables of whoever shows them,
    and a hole also fits the text that is left as it is.
    """
    if "$" not in sql and "[[" not in sql:
        return sql

    def hole(found: re.Match[str]) -> str:
        if found["inside"] is not None:  # $body$ ... $body$ is a string, with or without a tag
            quote = f"${found['tag']}$"
            return f"{quote}{with_holes(found['inside'], wild, loose)}{quote}"
        plain = found["plain"]
        name = plain or found["old"] or found["braced"]
        if plain is not None:
            after = sql[found.end() : found.end() + 1]
            if plain[0].isdigit() or (after == "(" and plain in MACROS):
                return found.group()
        formatted = found["format"] or found["old_format"]
        if name in _NUMBERS and not formatted:
            return NUMBER
        if name in _DURATIONS and not formatted:
            return DURATION
        return WILD if name in wild else LOOSE if name in loose else DATA

    return _VARIABLE.sub(hole, sql)
