"""The part of the JSON Schema that is about Grafana."""

from __future__ import annotations

from typing import Any

from pgusher.model.evidence import Certainty
from pgusher.model.grafana import Seen
from pgusher.model.panels import Fit, PanelKind
from pgusher.surfaces.render import schema as parts

_TEXT: dict[str, Any] = {"type": "string"}
_MAYBE_TEXT: dict[str, Any] = {"type": ["string", "null"]}
_BOOL: dict[str, Any] = {"type": "boolean"}
_COUNT: dict[str, Any] = {"type": "integer", "minimum": 0}
_MAYBE_COUNT: dict[str, Any] = {"type": ["integer", "null"]}
_PIDS: dict[str, Any] = {"type": "array", "items": {"type": "integer"}}


def grafana_definitions() -> dict[str, Any]:
    """The definitions, by name; "grafana" and those that begin with "grafana_", but for its points, are whole pages."""
    page, an_object, a_list, ref, one_of = parts.page, parts.an_object, parts.a_list, parts.ref, parts.one_of
    figure = ref("figure")
    where = {"host": _MAYBE_TEXT, "port": _COUNT, "socket": _MAYBE_TEXT, "database": _TEXT, "user": _TEXT,
             "max_open": figure, "max_idle": figure, "lifetime": figure}  # fmt: skip
    answer = {"fit": {"enum": [*(fit.value for fit in Fit), None]}, "longest_ms": {"type": ["number", "null"]},
              "cut": _BOOL, "fitting": _COUNT, "learned": _BOOL, "why": _TEXT, "panels": a_list("panel"),
              "certainty": {"enum": [*(one.value for one in Certainty), None]}}  # fmt: skip
    return {
        "grafana": page("grafana", grafanas=a_list("one_grafana"), findings=a_list("finding"), gaps=a_list("gap"),
                        next=a_list("next")),
        "grafana_patch": page("grafana_patch", org=_COUNT, uid=_TEXT, name=_TEXT, before=_MAYBE_COUNT,
                              after=_MAYBE_COUNT, file=_MAYBE_TEXT, diff=_TEXT, text=_TEXT, next=a_list("next")),
        "grafana_check": page("grafana_check", url=_TEXT, version=_MAYBE_TEXT, checks=a_list("grafana_point")),
        "grafana_panels": page("grafana_panels", queries=_COUNT, dashboards=_COUNT, limit=_COUNT, cut=_COUNT,
                               slots=a_list("panel_slots"), gaps=a_list("gap")),
        "panel_slots": an_object(pids=_PIDS, running=_COUNT, **answer),
        "sent": an_object(running=_BOOL, **answer),
        "panel": an_object(kind=one_of(PanelKind), folder=_TEXT, dashboard=_TEXT, title=_TEXT, ref_id=_TEXT,
                           org=_COUNT, uid=_TEXT, panel_id=_MAYBE_COUNT, link=_TEXT, source=_MAYBE_TEXT),
        "grafana_point": an_object(point=_TEXT, outcome={"enum": ["holds", "differs", "not asked"]}, text=_TEXT),
        "figure": an_object(value=_MAYBE_COUNT, origin=_TEXT, default=_BOOL, certainty=one_of(Certainty)),
        "own_database": an_object(**where),
        "one_grafana": an_object(
            name=_TEXT, version=_MAYBE_TEXT, seen=one_of(Seen), replicas=_COUNT, replicas_from=_TEXT, processes=_PIDS,
            may_take=_MAYBE_COUNT, own_database={"oneOf": [ref("own_database"), {"type": "null"}]},
            sources=a_list("data_source"),
        ),
        "data_source": an_object(
            org=_COUNT, uid=_TEXT, name=_TEXT, type=_TEXT, sessions=_MAYBE_COUNT, idle_time=figure, broken=_TEXT,
            version=_MAYBE_COUNT, read_only=_BOOL, file=_MAYBE_TEXT, line=_MAYBE_COUNT, limit_line=_MAYBE_COUNT,
            **where,
        ),
    }  # fmt: skip
