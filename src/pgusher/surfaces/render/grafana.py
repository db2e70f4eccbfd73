"""The screen of `pgusher grafana`: each data source with its limits, and who says so."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import Any

from pgusher.model.evidence import Gap
from pgusher.model.findings import Finding
from pgusher.model.grafana import DataSource, Figure, Grafana, OwnDatabase, Seen
from pgusher.model.values import replace
from pgusher.surfaces.render import words
from pgusher.surfaces.render.asjson import SCHEMA, gap_json
from pgusher.surfaces.render.chains import wrap
from pgusher.surfaces.render.findings import STYLES
from pgusher.surfaces.render.headline import gap_lines
from pgusher.surfaces.render.screen import BLANK, Line, Screen
from pgusher.surfaces.render.state import fact_line
from pgusher.surfaces.render.table import Cell, Column, table

_SEEN = {Seen.API: "by its API", Seen.FILES: "by its files", Seen.SQLITE: "by its files and its embedded database"}
_COLUMNS = (
    Column("data source", least=8),
    Column("org", right=True, optional=True),
    Column("server", least=8, drop=2),
    Column("role", least=4),
    Column("database", least=4, drop=1),
    Column("now", right=True, optional=True),
    Column("open", right=True),
    Column("idle", right=True),
    Column("lifetime", right=True),
)
_PIPE = tuple(
    Column(title)
    for title in (
        "grafana", "org", "uid", "data source", "server", "role", "database", "sessions now", "max open",
        "max open by", "max idle", "max idle by", "lifetime s", "lifetime by", "idle time s", "read only",
        "file", "line", "broken",
    )
)  # fmt: skip

Counts = dict[DataSource, int]
"""Sessions on the server that was looked at, of the data sources that mean it: those of its role in its database."""


def grafana_page(
    screen: Screen,
    grafanas: Sequence[Grafana],
    counts: Counts | None,
    ordinary: int | None,
    findings: Sequence[Finding],
    commands: Sequence[tuple[str, str]],
    gaps: tuple[Gap, ...] = (),
    away: Collection[DataSource] = (),
) -> list[Line]:
    """Each Grafana with its data sources, the findings, what to type next.

    `counts`: None when no server was looked at; `ordinary`: its slots for ordinary roles; `away`: the data sources that
    lead to another server.
    """
    if screen.pipe:
        return _pipe_lines(screen, grafanas, counts, findings, commands, gaps)
    lines: list[Line] = []
    for one in grafanas:
        lines += [BLANK] if lines else []
        lines += _head(screen, one, ordinary, away)
        lines += table(screen, _COLUMNS, [_row(source, counts, one) for source in one.sources], "  ")
        lines += _notes(screen, one)
    lines += [BLANK, *gap_lines(gaps, everything=True)] if gaps else []
    lines += [BLANK] if findings else []
    for finding in findings:
        label = f"{finding.severity.value:<8}  "
        first, *rest = wrap(screen, finding.message, len(label))
        lines.append([(label, STYLES[finding.severity]), (first, "")])
        lines += [[(" " * len(label), ""), (part, "")] for part in rest]
    lines += [BLANK] if commands else []
    for text, reason in commands:
        lines.append([(text, "paste"), (f"  # {reason}", "dim")])
    return lines


def _head(screen: Screen, one: Grafana, ordinary: int | None, away: Collection[DataSource]) -> list[Line]:
    version = f" {one.version}" if one.version else ""
    said = [f"Grafana{version}, {one.name}", _SEEN[one.seen]]
    if one.replicas > 1:
        said.append(one.replicas_from)
    lines: list[Line] = [[(part, "bold")] for part in wrap(screen, ", ".join(said), 0)]
    lines += [[(part, "")] for part in wrap(screen, may_take(one, ordinary, away), 0)]
    return [*lines, BLANK] if one.sources else lines


def may_take(one: Grafana, ordinary: int | None, away: Collection[DataSource] = ()) -> str:
    """ "its 3 data sources may take 220 sessions; the server has 97 ordinary slots"."""
    if not one.sources:
        return "no PostgreSQL data source was seen"
    most = one.may_take()
    verb = "may take" if len(one.sources) == 1 else "may take together"
    said = f"its {words.count(len(one.sources), 'data source')} {verb} "
    said += "any number of sessions" if most is None else words.count(most, "session")
    if one.replicas > 1 and most is not None:
        said += f", {one.replicas} processes with {most // one.replicas} each"
    if ordinary is None:
        return said
    slots = words.count(ordinary, "ordinary slot")
    here = tuple(source for source in one.sources if source not in away)
    if len(here) == len(one.sources):
        return f"{said}; the server has {slots}"
    lead = "1 of them leads" if len(here) == 1 else f"{len(here)} of them lead"
    if here:
        some = replace(one, sources=here).may_take()
        lead += f" with {'any number of sessions' if some is None else words.count(some, 'session')}"
    return f"{said}; to the server that was looked at {lead}, and it has {slots}"


def _row(source: DataSource, counts: Counts | None, one: Grafana) -> tuple[Cell, ...]:
    limits = source.limits
    several = len({each.org for each in one.sources}) > 1
    now = "" if counts is None else str(counts.get(source, ""))
    return (
        (source.name, "name"),
        str(source.org) if several else "",
        source.where,
        source.user,
        source.database,
        now,
        (
            figure(limits.max_open, "no limit"),
            "warn" if limits.max_open.default or limits.max_open.value is None else "",
        ),
        figure(limits.max_idle, "-"),
        seconds(limits.lifetime),
    )


def figure(one: Figure, none: str) -> str:
    """The number, or what its absence says."""
    return none if one.value is None else str(one.value)


def seconds(one: Figure) -> str:
    """ "4h", "never"."""
    value = one.value
    if value is None:
        return "never"
    if value % 3600 == 0:
        return f"{value // 3600}h"
    return f"{value // 60}min" if value % 60 == 0 else f"{value}s"


def _notes(screen: Screen, one: Grafana) -> list[Line]:
    """By whose word each may take that, whole: it is what a person has to change."""
    told = []
    for source in one.sources:
        most = source.limits.max_open
        by = f"{source.name}: {figure(most, 'no limit')} by {most.origin}"
        told.append(by + (", provisioned" if source.read_only else ""))
        if source.limits.broken:
            told.append(f"{source.name}: {source.limits.broken}")
    if one.own is not None:
        told.append(f"{own_words(one.own, one.replicas)} ({one.own.max_open.origin})")
    lines: list[Line] = [BLANK] if told else []
    for text in told:
        first, *rest = wrap(screen, text, 4)
        lines += [[("  ", ""), (first, "")], *([("    ", ""), (part, "")] for part in rest)]
    return lines


def own_words(own: OwnDatabase, replicas: int) -> str:
    """What its own database takes."""
    where = own.socket_dir or f"{own.host}:{own.port}"
    most = "no limit" if own.max_open.value is None else f"{own.max_open.value * replicas} sessions at most"
    return f"its own tables are in {own.database} at {where} as role {own.user}: {most}, {own.max_idle.value} stay idle"


def _pipe_lines(
    screen: Screen,
    grafanas: Sequence[Grafana],
    counts: Counts | None,
    findings: Sequence[Finding],
    commands: Sequence[tuple[str, str]],
    gaps: Iterable[Gap],
) -> list[Line]:
    number = sum(len(one.sources) for one in grafanas)
    lines = [fact_line(screen, "status", f"{words.count(number, 'data source')} of {len(grafanas)} Grafana")]
    lines += [fact_line(screen, "gap", gap.what, gap.why, gap.opens) for gap in gaps]
    for one in grafanas:
        lines.append(fact_line(screen, "grafana", one.name, one.version or "", one.seen.value, may_take(one, None)))
        if one.own is not None:
            lines.append(fact_line(screen, "own database", one.name, own_words(one.own, one.replicas)))
    lines += [fact_line(screen, "finding", f.severity.value, f.rule, f.key, f.message) for f in findings]
    lines += [fact_line(screen, "next", *command) for command in commands]
    rows = [_pipe_row(one, source, counts) for one in grafanas for source in one.sources]
    return [*lines, *([BLANK, *table(screen, _PIPE, rows)] if rows else [])]


def _pipe_row(one: Grafana, source: DataSource, counts: Counts | None) -> tuple[str, ...]:
    limits = source.limits
    place = source.limit_place or source.place
    now = "" if counts is None else str(counts.get(source, ""))
    return (
        one.name, str(source.org), source.uid, source.name, source.where, source.user, source.database, now,
        figure(limits.max_open, "no limit"), limits.max_open.origin, figure(limits.max_idle, ""),
        limits.max_idle.origin, figure(limits.lifetime, ""), limits.lifetime.origin, figure(limits.idle_time, ""),
        "yes" if source.read_only else "no", place.file if place else "", str(place.line) if place else "",
        limits.broken,
    )  # fmt: skip


def grafana_json(
    grafanas: Sequence[Grafana],
    counts: Counts | None,
    findings: Sequence[dict[str, Any]],
    commands: Sequence[tuple[str, str]],
    gaps: Iterable[Gap],
) -> dict[str, Any]:
    """What `pgusher grafana --json` prints."""
    return {
        "schema": SCHEMA,
        "kind": "grafana",
        "grafanas": [_grafana(one, counts) for one in grafanas],
        "findings": list(findings),
        "gaps": [gap_json(gap) for gap in gaps],
        "next": [{"command": command, "reason": reason} for command, reason in commands],
    }


def _grafana(one: Grafana, counts: Counts | None) -> dict[str, Any]:
    own = one.own
    return {
        "name": one.name,
        "version": one.version,
        "seen": one.seen.value,
        "replicas": one.replicas,
        "replicas_from": one.replicas_from,
        "processes": list(one.processes),
        "may_take": one.may_take(),
        "own_database": None
        if own is None
        else {
            "host": own.host,
            "port": own.port,
            "socket": own.socket_dir,
            "database": own.database,
            "user": own.user,
            "max_open": _figure(own.max_open),
            "max_idle": _figure(own.max_idle),
            "lifetime": _figure(own.lifetime),
        },
        "sources": [_source(source, counts) for source in one.sources],
    }


def _source(one: DataSource, counts: Counts | None) -> dict[str, Any]:
    return {
        "org": one.org,
        "uid": one.uid,
        "name": one.name,
        "type": one.type,
        "host": one.host,
        "port": one.port,
        "socket": one.socket_dir,
        "database": one.database,
        "user": one.user,
        "sessions": None if counts is None else counts.get(one),
        "max_open": _figure(one.limits.max_open),
        "max_idle": _figure(one.limits.max_idle),
        "lifetime": _figure(one.limits.lifetime),
        "idle_time": _figure(one.limits.idle_time),
        "broken": one.limits.broken,
        "version": one.version,
        "read_only": one.read_only,
        "file": one.place.file if one.place else None,
        "line": one.place.line if one.place else None,
        "limit_line": one.limit_place.line if one.limit_place else None,
    }


def _figure(one: Figure) -> dict[str, Any]:
    return {"value": one.value, "origin": one.origin, "default": one.default, "certainty": one.certainty.value}
