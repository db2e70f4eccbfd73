"""How large the pool of a data source gets in each version of Grafana.

| version | driver | open | idle | lifetime | idle ones close after |
|---|---|---|---|---|---|
| to 5.3 | database/sql | 10, fixed | 10, fixed | never | never |
| 5.4 to 9.4 | database/sql | no limit | 2 | 4 h | never |
| 9.5 to 12.3 | database/sql | 100 | 100 | 4 h | never |
| 12.4 on | pgxpool | 100 | no such thing | 4 h | 30 min |

From 9.5 on `[sql_datasources]` in grafana.ini has other defaults than these. Sources: Grafana's
pkg/tsdb/grafana-postgresql-datasource/postgres.go, sqleng/sql_engine.go and pkg/setting/setting.go
(readSqlDataSourceSettings), each at several versions; its documentation, "PostgreSQL data source"; pull request 122556
and issue 131104 for what a 0 does from 12.4 on; Go's database/sql (SetMaxOpenConns, SetMaxIdleConns) and pgxpool.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from pgusher.model.evidence import Certainty
from pgusher.model.grafana import TYPES, Figure, Limits
from pgusher.model.values import replace

OPEN, IDLE, LIFETIME = "maxOpenConns", "maxIdleConns", "connMaxLifetime"
"""The keys in a data source's jsonData."""
INI = {
    OPEN: "max_open_conns_default",
    IDLE: "max_idle_conns_default",
    LIFETIME: "max_conn_lifetime_default",
}
"""The keys in [sql_datasources] of grafana.ini, by what they are the default of."""

_FOUR_HOURS = 14400
DEFAULTS = {OPEN: 100, IDLE: 100, LIFETIME: _FOUR_HOURS}
"""From 9.5 on."""
_PGX_IDLE = 1800
_PGX_LIFETIME = 3600
_MOST = 1 << 31
_VERSION = re.compile(r"\D{0,3}(\d{1,4})\.(\d{1,4})(?:\.(\d{1,6}))?")


def parse_version(text: str | None) -> tuple[int, int, int] | None:
    """(12, 1, 0) of "12.1.0-pre"; None for what is no version."""
    match = _VERSION.match(text or "")
    return (int(match[1]), int(match[2]), int(match[3] or 0)) if match else None


def limits(
    version: str | None,
    kind: str,
    json_data: Mapping[str, object],
    ini: Mapping[str, Figure],
    origin: str = "jsonData of the data source",
) -> Limits:
    """What the pool of a data source may do. Raises ValueError when `kind` is no type of a PostgreSQL data source.

    `json_data`: its jsonData; a value that is no whole number counts as not set, and the data source as broken:
    Grafana refuses it ("error reading settings"). `ini`: what [sql_datasources] sets, by the
    key there ("max_open_conns_default"). `origin`: where `json_data` is from. An unknown version is taken for a new
    one, with the defaults of 9.5 on, and the figures are then LIKELY.
    """
    if kind not in TYPES:
        raise ValueError(f"{kind!r} is no PostgreSQL data source")
    known = parse_version(version)
    at = known or (9, 5, 0)
    if at < (5, 4, 0):
        fixed = Figure(10, "fixed up to 5.3", True)
        return Limits(fixed, fixed, Figure(None, "fixed up to 5.3", True), Figure(None, "fixed up to 5.3", True))
    sure = Certainty.PROVEN if known else Certainty.LIKELY
    if at < (9, 5, 0):
        span, defaults, ini = "default of 5.4 to 9.4", {OPEN: 0, IDLE: 2, LIFETIME: _FOUR_HOURS}, {}
    else:
        span, defaults = "default of 9.5 on", DEFAULTS
        if known is None:
            span += ", its version is not known"

    def told(key: str) -> Figure:
        value = _number(json_data.get(key))
        if value is not None:
            return Figure(value, origin)
        return ini.get(INI[key]) or Figure(defaults[key], span, True, sure)

    found = told(OPEN), told(IDLE), told(LIFETIME)
    made = _pgx(at, *found) if at >= (12, 4, 0) else _database_sql(*found)
    wrong = next((key for key in (OPEN, IDLE, LIFETIME) if not _is_whole(json_data.get(key))), None)
    return made if wrong is None else replace(made, broken=f"its {wrong} is no whole number: Grafana refuses it")


def unread(key: str, why: str) -> Figure:
    """The default of one of these keys where [sql_datasources] may say otherwise, and it is not known what."""
    return Figure(DEFAULTS[key], f"default of 9.5 on, {why}", True, Certainty.LIKELY)


def _database_sql(most: Figure, idle: Figure, lifetime: Figure) -> Limits:
    """Go's database/sql: 0 or less is no limit, never, and no idle session; idle ones are never more than open ones."""
    ends = _unless_positive(most)
    stays = 0 if (idle.value or 0) <= 0 else idle.value
    if ends.value is not None and stays is not None:
        stays = min(stays, ends.value)
    kept = Figure(stays, idle.origin, idle.default, idle.certainty)
    return Limits(ends, kept, _unless_positive(lifetime), Figure(None, "database/sql closes none", True))


def _pgx(at: tuple[int, int, int], most: Figure, idle: Figure, lifetime: Figure) -> Limits:
    """pgxpool: a 0 is not what it was."""
    broken = ""
    if (most.value or 0) <= 0:
        # Pull request 122556 made it max(4, CPUs), and is younger than 12.4; which release has it first is not told.
        most = Figure(
            4, f"{most.origin}: 0, so pgxpool takes its own: 4, or the number of CPUs", False, Certainty.LIKELY
        )
        if at < (13, 0, 0):
            broken = 'with "Max open" 0 it may refuse to start: "MaxSize must be >= 1"'
    if (lifetime.value or 0) <= 0:
        lifetime = Figure(_PGX_LIFETIME, f"{lifetime.origin}: 0, so pgxpool takes its own", False, Certainty.LIKELY)
        if at >= (13, 1, 1):
            broken = broken or 'with "Max lifetime" 0 it cannot connect: "too many failed attempts"'
    ignored = Figure(None, f"ignored from 12.4 on: {idle.value} in {idle.origin}", idle.default, idle.certainty)
    return Limits(most, ignored, lifetime, Figure(_PGX_IDLE, "pgxpool, from 12.4 on", True), broken)


def _unless_positive(figure: Figure) -> Figure:
    if figure.value is not None and figure.value > 0:
        return figure
    return Figure(None, figure.origin, figure.default, figure.certainty)


def _is_whole(value: object) -> bool:
    return value is None or (isinstance(value, int) and not isinstance(value, bool))


def _number(value: object) -> int | None:
    """A whole number; also as text, as some tools write it. None for what Grafana would not take as one."""
    if isinstance(value, str):
        text = value.strip()
        if len(text) > 10 or not re.fullmatch(r"-?[0-9]+", text):
            return None
        value = int(text)
    if isinstance(value, float) and value.is_integer() and abs(value) < _MOST:
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int) or abs(value) >= _MOST:
        return None
    return value
