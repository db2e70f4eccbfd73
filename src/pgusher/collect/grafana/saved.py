"""The queries that a Grafana has saved, without its API: its embedded database, and files of provisioned dashboards.

The database is opened as `sqlite` does it, read-only and without a trace. Dashboards are in the table `dashboard` up to
12, and as resources in `resource` where a newer Grafana keeps them so; both are read. Files are read for what the
database does not have yet, below the directories that the provisioning files name.
"""

from __future__ import annotations

import json
import os
import re
import time
from collections.abc import Callable, Iterator
from typing import Any

from pgusher.collect import rooted
from pgusher.collect.grafana import sqlite
from pgusher.collect.grafana.dashboard_json import read_alert_rule, read_dashboard, read_library_element
from pgusher.collect.grafana.dashboards import PanelFacts, several
from pgusher.collect.grafana.rule_files import read_rule_files
from pgusher.model.evidence import Gap
from pgusher.model.panels import Panel
from pgusher.model.text import decode

_MOST = 5000
_BYTES = 16 << 20
_WITHIN = 5.0
_DEEPEST = 6
_PATH = re.compile(r"^\s+(?:path|folder):\s*(?:(['\"])(?P<quoted>.*?)\1|(?P<plain>[^\s#]\S*))\s*(?:#.*)?$", re.M)


def read_database(path: str, clock: Callable[[], float] = time.monotonic) -> PanelFacts:
    """Its dashboards, library panels and alert rules. Raises nothing: what cannot be read is a gap."""
    try:
        return _read(path, clock)
    except sqlite.SqliteError as error:
        return PanelFacts(gaps=(Gap("grafana", f"the dashboards in {rooted.name_of(path)}", str(error), ""),))


def _read(path: str, clock: Callable[[], float]) -> PanelFacts:
    panels: list[Panel] = []
    gaps: list[Gap] = []
    dashboards = 0
    for kind, org, uid, folder, title, text in sqlite.saved(path, _MOST, _BYTES, clock, _WITHIN):
        where = f"{kind} {uid} in {rooted.name_of(os.path.basename(path))}"
        try:
            told: Any = json.loads(text)
        except (ValueError, RecursionError, TypeError):
            gaps.append(Gap("grafana", where, "its JSON is torn", ""))
            continue
        if kind == "dashboard":
            found, gap = read_dashboard(told, org=org, folder=folder, where=where, uid=uid)
            panels += found
            dashboards += 1
            gaps += [gap] if gap is not None else []
        elif kind == "library panel":
            panels += read_library_element({"uid": uid, "name": title, "model": told}, org=org, folder=folder)
        else:
            panels += read_alert_rule({"uid": uid, "title": title, "data": told}, org=org, folder=folder)
    return PanelFacts(tuple(dict.fromkeys(panels)), dashboards, tuple(several(gaps, "dashboards")))


def read_files(root: str, provisioning: str) -> PanelFacts:
    """The dashboards of files: those below the directories that `provisioning`/dashboards/*.yaml name; and alert rules.

    `root` is / as Grafana sees it. A directory is found by its line `path:`, as all providers of files are written.
    """
    panels: list[Panel] = []
    gaps: list[Gap] = []
    seen = 0
    for directory in _providers(root, os.path.join(provisioning, "dashboards"), gaps):
        for path in _jsons(root, directory, gaps):
            try:
                told = json.loads(rooted.read_file(root, path, _BYTES))
            except OSError as error:
                gaps.append(_gap(path, error))
                continue
            except (ValueError, RecursionError):
                gaps.append(Gap("grafana", f"file {rooted.name_of(path)}", "its JSON is torn", "correct the file"))
                continue
            found, gap = read_dashboard(told, where=f"file {rooted.name_of(path)}")
            seen += 1
            panels += found
            gaps += [gap] if gap is not None else []
    rules, torn = read_rule_files(root, provisioning)
    return PanelFacts(tuple(dict.fromkeys((*panels, *rules))), seen, tuple(several([*gaps, *torn], "files")))


def _providers(root: str, listed: str, gaps: list[Gap]) -> list[str]:
    try:
        names = rooted.list_directory(root, listed)
    except OSError as error:
        if rooted.is_denied(error):
            gaps.append(_gap(listed, error))
        return []
    found: list[str] = []
    for name in names:
        if not name.endswith((".yaml", ".yml")):
            continue
        try:
            content = decode(rooted.read_file(root, os.path.join(listed, name)))
        except OSError as error:
            gaps.append(_gap(os.path.join(listed, name), error))
            continue
        found += [match["quoted"] or match["plain"] for match in _PATH.finditer(content)]
    return list(dict.fromkeys(path for path in found if path.startswith("/")))


def _jsons(root: str, directory: str, gaps: list[Gap], deep: int = 0) -> Iterator[str]:
    try:
        names = rooted.list_directory(root, directory)
    except OSError as error:
        if rooted.is_denied(error):
            gaps.append(_gap(directory, error))
        return
    for name in names[:_MOST]:
        path = os.path.join(directory, name)
        if name.endswith(".json"):
            yield path
        elif "." not in name and deep < _DEEPEST:
            yield from _jsons(root, path, gaps, deep + 1)


def _gap(path: str, error: OSError) -> Gap:
    opens = "run pgusher as root" if rooted.is_denied(error) else ""
    return Gap("grafana", rooted.name_of(path), rooted.reason(error), opens)
