"""The PostgreSQL queries in the JSON of a dashboard, a library panel, an alert rule.

Of a dashboard: its rows and nested panels, variables and annotations, in the classic shape (from Grafana 4 on) and in
the new one with `elements` (v2).

Sources: Grafana's documentation, "Dashboard JSON model" and "Dashboard JSON schema v2"; public/app/plugins/datasource/
grafana-postgresql-datasource for where an annotation and a variable keep their SQL.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from pgusher.model.evidence import Gap
from pgusher.model.grafana import TYPES
from pgusher.model.panels import Panel, PanelKind
from pgusher.model.redact import redact_text
from pgusher.model.text import clean
from pgusher.model.values import replace

_DEEPEST = 12
_LONGEST_SQL = 200_000
"""Signs; PostgreSQL shows 1 MiB of a query at most, and 1 KiB unless it is told otherwise."""
_LONGEST_TITLE = 200
_FRAME = re.compile(r"(?i)\b(?:select|from|where|group\s+by|order\s+by|union|join|having|limit)\b|;|--|/\*")

_EXPRESSION = re.compile(
    r"(?i)[()=<>*~!]|\|\||\b(?:and|or|not|is|in|between|like|ilike|case|when|as|on|using|asc|desc)\b"
)
_TYPED = frozenset({"textbox", "TextVariable"})
_WRITTEN = _TYPED | {"custom", "constant", "CustomVariable", "ConstantVariable"}
"""The kinds of variable whose values stand in the dashboard, as text."""


def read_dashboard(
    data: Any, *, org: int = 1, folder: str = "", where: str = "", uid: str = ""
) -> tuple[tuple[Panel, ...], Gap | None]:
    """The queries of one dashboard, as `GET /api/dashboards/uid/:uid` gives it, or a file, or Grafana's database.

    Raises nothing: what is no dashboard, or torn, gives a gap that names `where` it was read.
    """
    body = _body(data)
    if body is None:
        return (), Gap("grafana", where or "a dashboard", "this is not the JSON of a dashboard", "")
    meta = _dict(_dict(data).get("meta"))
    found_uid = _title(body.get("uid")) or _title(_dict(_dict(data).get("metadata")).get("name")) or _title(uid)
    wild, loose = _variables(body)
    first = Panel(
        "",
        dashboard=_title(body.get("title")),
        folder=_title(folder) or _title(meta.get("folderTitle")),
        org=org,
        uid=found_uid,
        wild=wild,
        loose=loose,
    )
    panels = tuple(_sound(_all(body, first)))
    return panels, None


def _all(body: dict[str, Any], first: Panel) -> Iterator[Panel]:
    if "elements" in body:
        yield from _elements(body, first)
    else:
        yield from _panels(body.get("panels"), first, 0)
        for row in _list(body.get("rows")):
            yield from _panels(_dict(row).get("panels"), first, 1)
    for uid, element in _dict(body.get("__elements")).items():  # library panels, in a dashboard that was exported
        model = _dict(_dict(element).get("model"))
        title = _dict(element).get("name") or model.get("title")
        shared = replace(first, uid=_title(_dict(element).get("uid") or uid))
        yield from _targets({**model, "title": title, "id": None}, shared, PanelKind.LIBRARY)
    for one in _list(_dict(body.get("templating")).get("list")) + _list(body.get("variables")):
        yield from _variable(_dict(one), first)
    annotations = body.get("annotations")
    for one in _list(_dict(annotations).get("list")) + _list(annotations):
        yield from _annotation(_dict(one), first)


def _panels(panels: Any, first: Panel, depth: int) -> Iterator[Panel]:
    for data in _list(panels):
        panel = _dict(data)
        if depth < _DEEPEST and panel.get("panels"):
            yield from _panels(panel["panels"], first, depth + 1)
        yield from _targets(panel, first)


def _targets(panel: dict[str, Any], first: Panel, kind: PanelKind = PanelKind.PANEL) -> Iterator[Panel]:
    number = panel.get("id")
    number = number if isinstance(number, int) and not isinstance(number, bool) else None
    link = f"/d/{first.uid}" + (f"?viewPanel={number}" if number is not None else "") if first.uid else ""
    titled = replace(first, title=_title(panel.get("title")), panel_id=number, link=link, kind=kind)
    for data in _list(panel.get("targets")):
        target = _dict(data)
        source, ours = _source(target.get("datasource"), panel.get("datasource"))
        if ours:
            yield replace(titled, sql=_text(target.get("rawSql")), ref_id=_title(target.get("refId")), source=source)


def _elements(body: dict[str, Any], first: Panel) -> Iterator[Panel]:
    for element in _dict(body.get("elements")).values():
        spec = _dict(_dict(element).get("spec"))
        targets = []
        for data in _list(_dict(_dict(spec.get("data")).get("spec")).get("queries")):
            one = _dict(_dict(data).get("spec"))
            query = _dict(one.get("query"))
            model = dict(_dict(query.get("spec")))
            model["refId"] = one.get("refId")
            model["datasource"] = _new_source(one, query)
            targets.append(model)
        yield from _targets({"id": spec.get("id"), "title": spec.get("title"), "targets": targets}, first)


def _new_source(one: dict[str, Any], query: dict[str, Any]) -> dict[str, Any]:
    """The data source of a query in the new shape: its type is the query's kind, or its group."""
    named = _dict(one.get("datasource")) or _dict(query.get("datasource"))
    kind = _text(query.get("group")) or _text(query.get("kind"))
    return {"type": named.get("type") or kind, "uid": named.get("uid") or named.get("name")}


def _variable(one: dict[str, Any], first: Panel) -> Iterator[Panel]:
    spec = _dict(one.get("spec")) or one
    if _text(one.get("kind") or one.get("type")) not in {"query", "QueryVariable"}:
        return
    query = spec.get("query")
    inner = _dict(query)
    model = _dict(inner.get("spec")) or inner
    sql = (
        _text(query)
        or _text(model.get("rawSql"))
        or _text(model.get("query"))
        or _text(model.get("__legacyStringValue"))
    )
    named = _new_source(spec, inner) if "spec" in one else spec.get("datasource")
    source, ours = _source(named, None)
    if ours:
        link = f"/d/{first.uid}" if first.uid else ""
        yield replace(first, sql=sql, kind=PanelKind.VARIABLE, title=_title(spec.get("name")), source=source, link=link)


def _annotation(one: dict[str, Any], first: Panel) -> Iterator[Panel]:
    spec = _dict(one.get("spec")) or one
    target, query = _dict(spec.get("target")), _dict(spec.get("query"))
    sql = _text(spec.get("rawQuery")) or _text(target.get("rawSql")) or _text(_dict(query.get("spec")).get("rawSql"))
    named = _new_source(spec, query) if query else target.get("datasource")
    source, ours = _source(named, spec.get("datasource"))
    if ours:
        link = f"/d/{first.uid}" if first.uid else ""
        yield replace(
            first, sql=sql, kind=PanelKind.ANNOTATION, title=_title(spec.get("name")), source=source, link=link
        )


def read_library_element(data: Any, *, org: int = 1, folder: str = "") -> tuple[Panel, ...]:
    """The queries of one library panel, as `GET /api/library-elements` lists them."""
    element = _dict(data)
    model = _dict(element.get("model"))
    meta = _dict(element.get("meta"))
    title = element.get("name") or model.get("title")
    first = Panel("", folder=_title(folder) or _title(meta.get("folderName")), org=org, uid=_title(element.get("uid")))
    return tuple(_sound(_targets({**model, "title": title, "id": None}, replace(first), PanelKind.LIBRARY)))


def read_alert_rule(data: Any, *, org: int = 1, folder: str = "") -> tuple[Panel, ...]:
    """The queries of one alert rule, as `GET /api/v1/provisioning/alert-rules` and provisioning files have it."""
    rule = _dict(data)
    uid = _title(rule.get("uid"))
    found = []
    for one in map(_dict, _list(rule.get("data"))):
        model = _dict(one.get("model"))
        source, ours = _source(model.get("datasource"), one.get("datasourceUid"))
        if ours:
            found.append(
                Panel(
                    _text(model.get("rawSql")),
                    title=_title(rule.get("title")),
                    kind=PanelKind.ALERT,
                    ref_id=_title(one.get("refId")),
                    folder=_title(folder),
                    org=org,
                    uid=uid,
                    link=f"/alerting/grafana/{uid}/view" if uid else "",
                    source=_text(one.get("datasourceUid")) or source,
                )
            )
    return tuple(_sound(iter(found)))


def _sound(panels: Iterator[Panel]) -> Iterator[Panel]:
    return (one for one in panels if one.sql.strip() and len(one.sql) <= _LONGEST_SQL)


def _body(data: Any) -> dict[str, Any] | None:
    """The dashboard itself, out of what the API, Kubernetes-like objects or a file wrap it in."""
    for _ in range(3):
        if not isinstance(data, dict):
            return None
        if any(key in data for key in ("panels", "rows", "elements")):
            return data
        data = data.get("dashboard") or data.get("spec") or (data if "title" in data else None)
    return data if isinstance(data, dict) else None


def _source(*named: Any) -> tuple[str | None, bool]:
    """The data source's uid or old name, None where it is not fixed; and whether it may be a PostgreSQL."""
    for one in named:
        kind = _text(_dict(one).get("type"))
        name = _text(one) or _text(_dict(one).get("uid"))
        if kind in {"mixed", "datasource"} or name in {"-- Mixed --", "-- Grafana --", "__expr__", "-100"}:
            if one is named[0] and kind != "mixed" and name != "-- Mixed --":
                return None, False
            continue
        if kind and not kind.startswith("$") and kind not in TYPES and kind not in {"DataQuery", "PanelQuery"}:
            return None, False
        if name or kind:
            return (None if "$" in name or "[[" in name or name == "default" else name or None), True
    return None, True


def _variables(body: dict[str, Any]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Those with a value that holds SQL; those with one that is an expression, or that people type."""
    wild, loose = set(), set()
    for one in _list(_dict(body.get("templating")).get("list")) + _list(body.get("variables")):
        spec = _dict(_dict(one).get("spec")) or _dict(one)
        name, kind = _text(spec.get("name")), _text(_dict(one).get("type") or _dict(one).get("kind"))
        values = [spec.get("allValue"), _dict(spec.get("current")).get("value")]
        values += [_dict(option).get("value") for option in _list(spec.get("options"))]
        if kind in _WRITTEN:
            values.append(spec.get("query"))
        texts = [_text(value) for some in values for value in (some if isinstance(some, list) else [some])]
        if any(map(holds_sql, texts)):
            wild.add(name)
        elif kind in _TYPED or any(_EXPRESSION.search(text) for text in texts):
            loose.add(name)
    return tuple(sorted(wild)), tuple(sorted(loose))


def holds_sql(value: str) -> bool:
    """Whether the value of a variable has a part of a statement's frame in it."""
    return _FRAME.search(value) is not None


def _dict(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _title(value: Any) -> str:
    return clean(redact_text(_text(value)[:_LONGEST_TITLE])) if value else ""
