"""A dashboard for Grafana over the series of `pgusher serve`, as the JSON that its import takes.

Source of the form: Grafana documentation, "Dashboard JSON model" (schemaVersion 39, classic panels), which every
version from 9 on reads. It has not been opened in a Grafana here: its expressions are checked by promtool, its shape by
tests.
"""

from __future__ import annotations

from typing import Any

_SOURCE = {"type": "prometheus", "uid": "${source}"}
_HERE = 'server=~"$server"'
_WIDTH = 24

# title, kind, unit, expressions with their legends, width, height, further options
_PANELS: tuple[tuple[str, str, str, tuple[tuple[str, str], ...], int, int], ...] = (
    ("Ordinary slots taken", "gauge", "percentunit",
     ((f"pgusher_slots_taken{{{_HERE}}} / pgusher_slots_ordinary_max{{{_HERE}}}", "{{server}}"),), 6, 6),
    ("Full at the present rate in", "stat", "s", ((f"pgusher_seconds_to_full{{{_HERE}}}", "{{server}}"),), 6, 6),
    ("Oldest transaction that waits for its client", "stat", "s",
     ((f"pgusher_idle_in_transaction_oldest_seconds{{{_HERE}}}", "{{server}}"),), 6, 6),
    ("Refused for lack of slots", "stat", "short",
     ((f"sum(increase(pgusher_logged_refusals_total{{{_HERE}}}[$__range]))", "clients, by the server's log"),
      ("increase(pgusher_refused_looks_total[$__range])", "looks of pgusher")), 6, 6),
    ("Slots by holder", "stacked", "short",
     ((f"topk(12, pgusher_holder_slots{{{_HERE}}})", "{{holder}}"),
      (f"pgusher_slots_ordinary_max{{{_HERE}}}", "ordinary slots there are")), 24, 10),
    ("Slots by what their session does", "stacked", "short",
     ((f'pgusher_slots{{{_HERE},state!="free"}}', "{{state}}"),), 12, 8),
    ("Findings", "stacked", "short", ((f"pgusher_findings{{{_HERE}}}", "{{severity}}: {{rule}}"),), 12, 8),
    ("Roles and databases at their limits", "lines", "percentunit",
     ((f"pgusher_limit_used{{{_HERE}}} / pgusher_limit_max{{{_HERE}}}", "{{kind}} {{name}}"),), 12, 8),
    ("How it is seen", "lines", "short", ((f"pgusher_view_rung{{{_HERE}}} == 1", "{{rung}}"),), 12, 8),
)  # fmt: skip


def dashboard() -> dict[str, Any]:
    """The dashboard, with a choice of the data source and of the server."""
    panels, x, y, tall = [], 0, 0, 0
    for number, (title, kind, unit, targets, width, height) in enumerate(_PANELS, 1):
        if x + width > _WIDTH:
            x, y, tall = 0, y + tall, 0
        place = {"x": x, "y": y, "w": width, "h": height}
        panels.append({**_panel(number, title, kind, unit, targets), "gridPos": place})
        x, tall = x + width, max(tall, height)
    server = {
        "name": "server", "label": "Server", "type": "query", "datasource": _SOURCE, "refresh": 2, "includeAll": True,
        "multi": True, "current": {"selected": True, "text": ["All"], "value": ["$__all"]},
        "query": {"query": "label_values(pgusher_up, server)", "refId": "servers"},
    }  # fmt: skip
    source = {"name": "source", "label": "Prometheus", "type": "datasource", "query": "prometheus"}
    return {
        "uid": "pgusher", "title": "pgusher: who holds the slots", "tags": ["postgresql", "pgusher"], "editable": True,
        "schemaVersion": 39, "refresh": "10s", "time": {"from": "now-3h", "to": "now"}, "timezone": "",
        "templating": {"list": [source, server]}, "annotations": {"list": []}, "panels": panels,
    }  # fmt: skip


def expressions() -> list[str]:
    """All of its queries."""
    return [expression for _, _, _, targets, _, _ in _PANELS for expression, _ in targets]


def _panel(number: int, title: str, kind: str, unit: str, targets: tuple[tuple[str, str], ...]) -> dict[str, Any]:
    defaults: dict[str, Any] = {"unit": unit}
    if kind in {"stacked", "lines"}:
        stacking = {"mode": "normal", "group": "A"} if kind == "stacked" else {"mode": "none"}
        defaults["custom"] = {
            "drawStyle": "line", "lineInterpolation": "stepAfter", "fillOpacity": 60 if kind == "stacked" else 0,
            "stacking": stacking, "showPoints": "never",
        }  # fmt: skip
    if kind == "gauge":
        steps = [{"color": "green", "value": None}, {"color": "orange", "value": 0.85}, {"color": "red", "value": 1}]
        defaults |= {"min": 0, "max": 1, "thresholds": {"mode": "absolute", "steps": steps}}
    overrides = []
    if kind == "stacked" and any(legend == "ordinary slots there are" for _, legend in targets):
        overrides.append({
            "matcher": {"id": "byName", "options": "ordinary slots there are"},
            "properties": [
                {"id": "custom.stacking", "value": {"mode": "none"}}, {"id": "custom.fillOpacity", "value": 0},
                {"id": "color", "value": {"mode": "fixed", "fixedColor": "red"}},
            ],
        })  # fmt: skip
    return {
        "id": number, "title": title, "type": "timeseries" if kind in {"stacked", "lines"} else kind,
        "datasource": _SOURCE, "fieldConfig": {"defaults": defaults, "overrides": overrides}, "options": {},
        "targets": [
            {"refId": chr(64 + place), "datasource": _SOURCE, "expr": expression, "legendFormat": legend or "__auto"}
            for place, (expression, legend) in enumerate(targets, 1)
        ],
    }  # fmt: skip
