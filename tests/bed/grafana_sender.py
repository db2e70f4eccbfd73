"""What Grafana would send for a panel: a stand-in for its browser and server, written from its source on its own.

It shares no code with the matcher, on purpose: what both get wrong in the same way no test would see. Sources:
template_srv.ts and the SQL data sources' `interpolateVariable` for variables, macros.go and sql_engine.go for macros,
`stripSQLComments` of 12.4 for comments.
"""

from __future__ import annotations

import random
import re
import string
from datetime import UTC, datetime, timedelta

_STEPS = {"1s": 1, "5s": 5, "30s": 30, "1m": 60, "5m": 300, "15m": 900, "30m": 1800, "1h": 3600, "1d": 86400}


class Sender:
    """One person's browser: a range of time, a value for each variable."""

    def __init__(self, seed: int, *, timescale: bool = False, strips: bool = False, blind: bool = False) -> None:
        """`strips`: comments are taken out, as from 12.4.3 on; `blind`: with no eye for quotes, as before that."""
        self._random = random.Random(seed)
        self._timescale = timescale
        self._strips = strips
        self._blind = blind
        hours = self._random.randrange(1, 5000)
        self._until = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(milliseconds=self._random.randrange(10**10))
        self._since = self._until - timedelta(hours=hours)
        self._step = self._random.choice(list(_STEPS))
        self._values: dict[str, list[str]] = {}

    def send(self, sql: str) -> str:
        """The text that PostgreSQL gets."""
        sql = self._variables(sql)
        if self._strips:
            sql = strip_comments(sql)
        if self._blind:
            lines = (line.partition("--")[0] for line in sql.split("\n"))
            first, *rest = "\n".join(lines).split("/*")
            sql = first + "".join(one.partition("*/")[2] if "*/" in one else f"/*{one}" for one in rest)
        for old, new in (("$__interval_ms", str(_STEPS[self._step] * 1000)), ("$__interval", self._step),
                         ("$__unixEpochFrom()", str(int(self._since.timestamp()))),
                         ("$__unixEpochTo()", str(int(self._until.timestamp())))):  # fmt: skip
            sql = sql.replace(old, new)
        return self._macros(sql)

    # -- the browser

    def _value(self, name: str) -> list[str]:
        if name not in self._values:
            kind = self._random.random()
            if kind < 0.3:
                made = [str(self._random.randrange(10**6))]
            else:
                letters = string.ascii_letters + string.digits + "-_."
                many = 1 if kind < 0.7 else self._random.randrange(1, 12)
                made = [
                    "".join(self._random.choices(letters, k=self._random.randrange(1, 14))).strip("-.") or "x"
                    for _ in range(many)
                ]
            self._values[name] = made
        return self._values[name]

    def _variables(self, sql: str) -> str:
        out, at = "", 0
        while at < len(sql):
            name, form, end = self._variable_at(sql, at)
            if not name:
                out, at = out + sql[at], at + 1
                continue
            quoted = out.count("'") % 2 == 1
            out, at = out + self._formatted(name, form, quoted), end
        return out

    @staticmethod
    def _variable_at(sql: str, at: int) -> tuple[str, str, int]:
        """Name, format and end of the variable that begins here; no name where none does."""
        if sql.startswith("${", at) and (end := sql.find("}", at)) > 0:
            name, _, form = sql[at + 2 : end].partition(":")
            return name.partition(".")[0], form, end + 1
        if (
            sql.startswith("[[", at)
            and (end := sql.find("]]", at)) > 0
            and sql[at + 2 : end].replace(":", "").isidentifier()
        ):
            name, _, form = sql[at + 2 : end].partition(":")
            return name, form, end + 2
        if sql[at] == "$":
            end = at + 1
            while end < len(sql) and (sql[end].isalnum() or sql[end] == "_"):
                end += 1
            name = sql[at + 1 : end]
            if name and not name[0].isdigit() and not name.startswith("__") and sql[end : end + 1] != "$":
                return name, "", end
        return "", "", at

    def _formatted(self, name: str, form: str, quoted: bool) -> str:
        if name in {"__from", "__to"}:
            at = self._since if name == "__from" else self._until
            return at.strftime("%Y-%m-%dT%H:%M:%S.000Z") if form else str(int(at.timestamp() * 1000))
        if name in {"__interval", "__interval_ms"}:
            return self._step if name == "__interval" else str(_STEPS[self._step] * 1000)
        values = self._value(name)
        match form:
            case "sqlstring" | "singlequote":
                return ",".join("'" + one.replace("'", "''") + "'" for one in values)
            case "doublequote":
                return ",".join(f'"{one}"' for one in values)
            case "csv" | "raw":
                return ",".join(values)
            case "pipe":
                return "|".join(values)
            case "regex":
                return "(" + "|".join(map(re.escape, values)) + ")" if len(values) > 1 else re.escape(values[0])
        if quoted or len(values) == 1:
            return values[0]
        return ",".join(f"'{one}'" for one in values)

    # -- the server

    def _macros(self, sql: str) -> str:
        out, at = "", 0
        for found in re.finditer(r"\$([A-Za-z0-9_]+)\(([^)]*)\)", sql):
            name = found.group(1)
            if name == "__timeGroup":
                first = sql.index(found.group(0)) + len(found.group(0))
                name += "Alias" if sql[first : first + 1] == "," else ""
            out += sql[at : found.start()] + self._macro(name, [one.strip(" ") for one in found.group(2).split(",")])
            at = found.end()
        return out + sql[at:]

    def _macro(self, name: str, arguments: list[str]) -> str:
        column = arguments[0]
        since, until = (_nano(one) for one in (self._since, self._until))
        first, last = int(self._since.timestamp()), int(self._until.timestamp())
        if name.endswith("Alias"):
            return self._macro(name.removesuffix("Alias"), arguments) + ' AS "time"'
        if name.endswith("Group"):
            step = arguments[1].strip("'")
            seconds = (
                _STEPS.get(step) or int(step[:-1]) * {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}[step[-1]]
            )
            if name == "__unixEpochGroup":
                return f"floor(({column})/{seconds})*{seconds}"
            if self._timescale:
                return f"time_bucket('{seconds:.3f}s',{column})"
            return f"floor(extract(epoch from {column})/{seconds})*{seconds}"
        return {
            "__time": f'{column} AS "time"',
            "__timeEpoch": f'extract(epoch from {column}) as "time"',
            "__timeFilter": f"{column} BETWEEN '{since}' AND '{until}'",
            "__timeFrom": f"'{since}'",
            "__timeTo": f"'{until}'",
            "__unixEpochFilter": f"{column} >= {first} AND {column} <= {last}",
            "__unixEpochNanoFilter": f"{column} >= {first}000000000 AND {column} <= {last}000000000",
            "__unixEpochNanoFrom": f"{first}000000000",
            "__unixEpochNanoTo": f"{last}000000000",
        }.get(name, f"${name}({','.join(arguments)})")


def _nano(at: datetime) -> str:
    text = at.strftime("%Y-%m-%dT%H:%M:%S")
    return f"{text}.{at.microsecond:06d}".rstrip("0").rstrip(".") + "Z"


def strip_comments(sql: str) -> str:
    """As from 12.4 on: those outside quotes, and block comments to the first end."""
    out, at, quote = "", 0, ""
    while at < len(sql):
        if quote:
            if sql.startswith(quote, at):
                out, at, quote = out + quote, at + len(quote), ""
                continue
        elif sql.startswith("--", at):
            at = sql.find("\n", at) if "\n" in sql[at:] else len(sql)
            continue
        elif sql.startswith("/*", at) and "*/" in sql[at + 2 :]:
            at = sql.index("*/", at + 2) + 2
            continue
        elif sql[at] in "'\"":
            quote = sql[at]
        elif (tag := re.match(r"\$(?:[A-Za-z]\w*)?\$", sql[at:])) is not None:
            quote = tag.group()
            out, at = out + quote, at + len(quote)
            continue
        out, at = out + sql[at], at + 1
    return out


def shown(sql: str, limit: int = 1024) -> str:
    """What pg_stat_activity shows with that track_activity_query_size: whole signs, one byte less than it says."""
    return sql.encode()[: limit - 1].decode("utf-8", "ignore")
