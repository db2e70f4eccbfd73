"""The macros of Grafana's PostgreSQL data source, as what they become, with holes for what only Grafana knows.

Sources: pkg/tsdb/grafana-postgresql-datasource/macros.go (from 5.3 on) and sqleng/sql_engine.go, pkg/tsdb/postgres/
macros.go of 5.0, gtime.ParseInterval of grafana-plugin-sdk-go. The arguments end at the first closing parenthesis, also
where that belongs to a function in them: Grafana reads them so, and sends what comes of it. Tools and data sources that
are made with its newer libraries (grafana/sqlds) read them to the end.
"""

from __future__ import annotations

import re
from enum import StrEnum

from pgusher.attribute.panels.holes import NUMBER, TIME


class Dialect(StrEnum):
    """What the macros of a data source become."""

    PLAIN = "plain"
    TIMESCALE = "timescale"
    """Its switch "TimescaleDB" is on: groups of time are made by time_bucket."""
    FIRST_TIMESCALE = "timescale, at first"
    """The same, from 5.3 on until fractions of a second came: '300s' for '300.000s'."""
    BEFORE_5_3 = "before 5.3"
    DOCUMENTED = "documented"
    """Groups of time as Grafana's documentation still prints them, and tools that follow it send them."""


GROUP = "$__timeGroup"
"""The only macro in which a plain source and a TimescaleDB source differ."""
_CALL = re.compile(r"\$([_a-zA-Z0-9]+)\(([^)]*)\)")
_WHOLE_CALL = re.compile(r"\$([_a-zA-Z0-9]+)\(((?:[^()]|\((?:[^()]|\([^()]*\))*+\))*+)\)")
_HAS_CALL = re.compile(r"\$__\w+\([^()]*\(")
_TIME = f"'{TIME}'"
_UNITS = {"ns": 1e-9, "us": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, "w": 604800.0}
_INTERVAL = re.compile(r"(?:\d+(?:\.\d+)?(?:ns|us|ms|s|m|h))+|\d+[dw]|\d+")
_PART = re.compile(r"(\d+(?:\.\d+)?)(ns|us|ms|s|m|h|d|w)")


def has_calls(sql: str) -> bool:
    """Whether a macro's arguments hold the call of a function: then they can be read in two ways."""
    return _HAS_CALL.search(sql) is not None


def expanded(sql: str, dialect: Dialect = Dialect.PLAIN, *, whole: bool = False) -> str:
    """The SQL with each macro as what it becomes. A macro that Grafana would refuse stays as it is.

    `whole`: its arguments are read to the parenthesis that belongs to the macro.
    """
    if "$" not in sql:
        return sql

    def become(found: re.Match[str]) -> str:
        name = found[1]
        arguments = [part.strip(" ") for part in (_parts(found[2]) if whole else found[2].split(","))]
        if name == "__timeGroup":
            # As before 5.3, when it came with its alias: where a comma follows the first such call. Grafana looks for
            # the first one with the same text, and so does this.
            end = sql.find(found.group()) + len(found.group())
            if sql[end : end + 1] == ",":
                name = "__timeGroupAlias"
        text = _evaluate(name, arguments, dialect)
        return found.group() if text is None else text

    return (_WHOLE_CALL if whole else _CALL).sub(become, sql)


def _parts(arguments: str) -> list[str]:
    """Split at the commas that belong to no call."""
    found, depth = [""], 0
    for sign in arguments:
        depth += (sign == "(") - (sign == ")")
        if sign == "," and depth == 0:
            found.append("")
        else:
            found[-1] += sign
    return found


def _evaluate(name: str, arguments: list[str], dialect: Dialect) -> str | None:
    column = arguments[0]
    old = dialect is Dialect.BEFORE_5_3
    match name:
        case "__time":
            return f'{column} AS "time"'
        case "__timeEpoch":
            return f'extract(epoch from {column}) as "time"'
        case "__timeFilter" if old:
            return f"extract(epoch from {column}) BETWEEN {NUMBER} AND {NUMBER}"
        case "__timeFilter":
            return f"{column} BETWEEN {_TIME} AND {_TIME}"
        case "__timeFrom" | "__timeTo":
            return f"to_timestamp({NUMBER})" if old else _TIME
        case "__unixEpochFilter" | "__unixEpochNanoFilter":
            return f"{column} >= {NUMBER} AND {column} <= {NUMBER}"
        case "__unixEpochFrom" | "__unixEpochTo" | "__unixEpochNanoFrom" | "__unixEpochNanoTo":
            return NUMBER
        case "__timeGroup" | "__timeGroupAlias" | "__unixEpochGroup" | "__unixEpochGroupAlias" if len(arguments) > 1:
            return _group(name, column, _seconds(arguments[1].strip("'")), dialect)
    return None


def _group(name: str, column: str, seconds: float | None, dialect: Dialect) -> str:
    step = NUMBER if seconds is None else _go_float(seconds)
    alias = ' AS "time"' if name.endswith("Alias") else ""
    if name.startswith("__unixEpoch"):
        return f"floor(({column})/{step})*{step}{alias}"
    if dialect is Dialect.BEFORE_5_3:
        return f"(extract(epoch from {column})/{step})::bigint*{step} AS time"
    if dialect is Dialect.DOCUMENTED:
        return f"(extract(epoch from {column})/{step})::bigint*{step}{alias}"
    if dialect is Dialect.FIRST_TIMESCALE:
        return f"time_bucket('{step}s',{column}){alias}"
    if dialect is Dialect.TIMESCALE:
        return f"time_bucket('{NUMBER if seconds is None else f'{seconds:.3f}'}s',{column}){alias}"
    return f"floor(extract(epoch from {column})/{step})*{step}{alias}"


def _seconds(interval: str) -> float | None:
    """The seconds of "5m" or "1m30s"; None where it is a hole, or counts months, whose length depends on the day."""
    if not _INTERVAL.fullmatch(interval):
        return None
    if interval.isdigit():
        return float(interval)
    return sum(float(number) * _UNITS[unit] for number, unit in _PART.findall(interval))


def _go_float(value: float) -> str:
    """As Go's %v prints a float64: the shortest that means the same."""
    return str(int(value)) if value == int(value) else repr(value)
