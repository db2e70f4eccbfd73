"""The alert rules of provisioning files: `alerting/*.yaml`, `*.yml` and `*.json`.

Source: Grafana's documentation, "Use configuration files to provision alerting resources". YAML needs PyYAML
(`pip install 'pgusher[grafana]'`); no tag of YAML makes an object.
"""

from __future__ import annotations

import json
import os
from typing import Any

from pgusher.collect import rooted
from pgusher.collect.grafana.dashboard_json import read_alert_rule
from pgusher.collect.grafana.provisioning import has_yaml
from pgusher.model.evidence import Gap
from pgusher.model.panels import Panel
from pgusher.model.text import decode

_BYTES = 1 << 20
_MOST = 500
"""Files, and rules of one."""


def read_rule_files(root: str, provisioning: str) -> tuple[tuple[Panel, ...], tuple[Gap, ...]]:
    """The queries of the rules below `provisioning`/alerting. Raises nothing: what cannot be read is a gap."""
    listed = os.path.join(provisioning, "alerting")
    panels: list[Panel] = []
    gaps: list[Gap] = []
    try:
        names = rooted.list_directory(root, listed)
    except OSError as error:
        return (), ((_gap(listed, rooted.reason(error), "run pgusher as root"),) if rooted.is_denied(error) else ())
    for name in sorted(names)[:_MOST]:
        path = os.path.join(listed, name)
        if not name.endswith((".yaml", ".yml", ".json")):
            continue
        try:
            content = decode(rooted.read_file(root, path, _BYTES))
        except OSError as error:
            gaps.append(_gap(path, rooted.reason(error), "run pgusher as root" if rooted.is_denied(error) else ""))
            continue
        if not name.endswith(".json") and not has_yaml():
            if "rawSql" in content:
                gaps.append(_gap(path, "PyYAML is not installed", "pip install 'pgusher[grafana]'"))
            continue
        try:
            told = json.loads(content) if name.endswith(".json") else _yaml(content)
        except (ValueError, RecursionError):
            gaps.append(_gap(path, "it is torn", "correct the file"))
            continue
        panels += _rules(told)
    return tuple(panels), tuple(gaps)


def _rules(told: Any) -> list[Panel]:
    found: list[Panel] = []
    for group in _list(told, "groups"):
        folder, org = (group.get("folder"), group.get("orgId")) if isinstance(group, dict) else ("", 1)
        for rule in _list(group, "rules"):
            found += read_alert_rule(
                rule,
                org=org if isinstance(org, int) and not isinstance(org, bool) else 1,
                folder=folder if isinstance(folder, str) else "",
            )
    return found


def _list(told: Any, key: str) -> list[Any]:
    value = told.get(key) if isinstance(told, dict) else None
    return value[:_MOST] if isinstance(value, list) else []


def _yaml(content: str) -> Any:
    """Raises ValueError for what is no YAML."""
    import yaml

    try:
        return yaml.load(content, getattr(yaml, "CSafeLoader", yaml.SafeLoader))  # noqa: S506 - both are safe loaders
    except yaml.YAMLError as error:
        raise ValueError(str(error)) from None


def _gap(path: str, why: str, opens: str) -> Gap:
    return Gap("grafana", f"alert rules in {rooted.name_of(path)}", why, opens)
