"""A Grafana by its HTTP API, organisation by organisation: each token is of one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from pgusher.collect.grafana.client import Client, GrafanaError
from pgusher.collect.grafana.sources import Setting, number, source_of, text
from pgusher.model.evidence import Gap
from pgusher.model.grafana import TYPES, DataSource, Figure, Grafana, Seen
from pgusher.model.grafana_limits import DEFAULTS, INI, parse_version, unread

_SOURCES = 5000
"""As many as Grafana itself gives at once ([datasources] datasource_limit)."""
_VERSIONS = "the versions of data sources"


def read_api(client: Client) -> Grafana:
    """What the API tells. Raises nothing: what it does not tell is a gap."""
    gaps: list[Gap] = []
    version = _version(client, gaps)
    found: dict[tuple[int, str], DataSource] = {}
    if not client.tokens:
        opens = "PGUSHER_GRAFANA_TOKEN, or --grafana-token-file FILE"
        gaps.append(Gap("grafana", f"the data sources of {client.url}", "no token was given", opens))
    for token in client.tokens:
        for source in _of_token(client, token, version, gaps):
            found.setdefault((source.org, source.uid or source.name), source)
    sources = sorted(found.values(), key=lambda one: (one.org, one.name.casefold(), one.uid))
    return Grafana(client.url, version, Seen.API, tuple(sources), gaps=tuple(dict.fromkeys(gaps)))


def path_of(source: DataSource, version: str | None) -> str:
    """The route of one data source: by its uid, or by its number before 9.0, which has no such route for updates."""
    at = parse_version(version)
    if (at is not None and at < (9, 0, 0) and source.id is not None) or not source.uid:
        return f"/api/datasources/{source.id}"
    return f"/api/datasources/uid/{quote(source.uid, safe='')}"


def _of_token(client: Client, token: str, version: str | None, gaps: list[Gap]) -> list[DataSource]:
    try:
        listed = client.get("/api/datasources", token)
    except GrafanaError as error:
        gaps.append(_gap("the data sources", error, "datasources:read"))
        return []
    if not isinstance(listed, list):
        gaps.append(Gap("grafana", "the data sources", "the answer is no list: is it Grafana?", "check its URL"))
        return []
    if len(listed) > _SOURCES:
        gaps.append(Gap("grafana", f"{len(listed) - _SOURCES} data sources", f"{_SOURCES} are read at most", ""))
    setting = Setting(version, _defaults(client, token, version, gaps))
    found = []
    whole: Mapping[str, Any] | None = {}
    for told in listed[:_SOURCES]:
        source = source_of(told, setting) if isinstance(told, dict) else None
        if source is None:
            continue
        if whole is not None:
            whole = _whole(client, token, path_of(source, version), gaps)
        if whole is None:  # the list tells all but the version
            found.append(source)
            continue
        better = source_of({**told, **whole}, setting) if whole.get("type") in TYPES else None
        found.append(better or source)
    return found


def _whole(client: Client, token: str, path: str, gaps: list[Gap]) -> Mapping[str, Any] | None:
    """One data source as its own route shows it: with its version.

    None when Grafana did not answer: then it is not asked for the others, as each could take its whole time limit.
    """
    try:
        told = client.get(path, token)
    except GrafanaError as error:
        if not any(gap.what == _VERSIONS for gap in gaps):  # told once, and not for each
            gaps.append(_gap(_VERSIONS, error, "datasources:read"))
        return None if error.status is None else {}
    return told if isinstance(told, dict) else {}


def _version(client: Client, gaps: list[Gap]) -> str | None:
    try:
        told = client.get("/api/health")
    except GrafanaError as error:
        gaps.append(_gap("the version of Grafana", error, ""))
        return None
    version = text(told.get("version"), 40) if isinstance(told, dict) else ""
    if not version:  # it can be told to hide it: [auth.anonymous] hide_version
        gaps.append(Gap("grafana", "the version of Grafana", "it does not tell", ""))
    return version or None


def _defaults(client: Client, token: str, version: str | None, gaps: list[Gap]) -> dict[str, Figure]:
    """What [sql_datasources] says, as the page that makes a data source gets it. It is told from 9.5 on."""
    at = parse_version(version)
    if at is not None and at < (9, 5, 0):
        return {}
    try:
        told = client.get("/api/frontend/settings", token)
    except GrafanaError as error:
        gaps.append(_gap("the defaults of [sql_datasources]", error, ""))
        return {name: unread(key, "[sql_datasources] could not be read") for key, name in INI.items()}
    known = told.get("sqlConnectionLimits") if isinstance(told, dict) else None
    found = {}
    for key, name in INI.items():
        value = number(known.get(key)) if isinstance(known, dict) else None
        if value is not None:
            usual = value == DEFAULTS[key]
            told_by = "/api/frontend/settings"
            found[name] = Figure(
                value, f"the default, as {told_by} tells" if usual else f"{name}, as {told_by} tells", usual
            )
    return found


def _gap(what: str, error: GrafanaError, permission: str) -> Gap:
    opens = error.opens
    if error.status == 403 and permission:
        opens = f"a service account with the permission {permission}"
    return Gap("grafana", what, str(error), opens)
