"""Slots by panel: the screen of `pgusher grafana panels`, and what `pgusher who` adds to a Grafana."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pgusher.model.panel_slots import PanelLook, PanelSlots, Sent
from pgusher.model.panels import Fit, Match, Panel
from pgusher.surfaces.render import words
from pgusher.surfaces.render.asjson import SCHEMA, gap_json
from pgusher.surfaces.render.chains import wrap
from pgusher.surfaces.render.headline import gap_lines
from pgusher.surfaces.render.screen import BLANK, Line, Screen
from pgusher.surfaces.render.state import fact_line
from pgusher.surfaces.render.table import Cell, Column, table

NAMED = 3
"""Candidates that a terminal names."""
_COLUMNS = (
    Column("slots", right=True),
    Column("running", right=True),
    Column("longest", right=True),
    Column("sure", optional=True),
    Column("panel", least=20),
)
_PIPE = tuple(
    Column(title)
    for title in (
        "slots", "running", "longest ms", "fit", "certainty", "cut", "why", "kind", "org", "folder", "dashboard",
        "title", "ref id", "link", "server pids",
    )
)  # fmt: skip


def panels_page(screen: Screen, look: PanelLook, slots: Sequence[PanelSlots], url: str) -> list[Line]:
    """Each answer with its slots and time; below it the link, or the candidates. `url`: Grafana's own address."""
    if screen.pipe:
        gaps = [fact_line(screen, "gap", gap.what, gap.why, gap.opens) for gap in look.gaps]
        rows = [_pipe_row(one, panel, url) for one in slots for panel in _panels(one) or (None,)]
        return [*gaps, *([BLANK, *table(screen, _PIPE, rows)] if rows else [])]
    lines: list[Line] = [[(part, "bold")] for part in wrap(screen, headline(look), 0)]
    lines += [*gap_lines(look.gaps, everything=True)]
    if slots:
        lines += [BLANK, *panel_lines(screen, slots, url)]
    if look.cut:
        lines += [BLANK, *([(part, "dim")] for part in wrap(screen, cut_words(look), 0))]
    return lines


def headline(look: PanelLook) -> str:
    """ "9 sessions of Grafana's, compared with 240 saved queries"."""
    if not look.sent:
        return "no session of Grafana's was seen"
    said = f"{words.count(len(look.sent), 'session')} of Grafana's, compared with "
    said += f"{words.count(look.queries, 'saved query', 'saved queries')}"
    return f"{said} of {words.count(look.dashboards, 'dashboard')}" if look.dashboards else said


def cut_words(look: PanelLook) -> str:
    """What limits the answers, and the setting that helps."""
    return (
        f"{look.cut} of {len(look.sent)} statements are shown in part: the server's track_activity_query_size is "
        f"{look.limit} bytes; a larger one (it needs a restart) tells panels apart that begin alike"
    )


def panel_lines(screen: Screen, slots: Sequence[PanelSlots], url: str, indent: str = "") -> list[Line]:
    """The table, with the link or the candidates below each row."""
    rows: list[tuple[Cell, ...]] = []
    for one in slots:
        sure = one.certainty.value if one.certainty is not None else ""
        first, *more = _said(one.match, url)
        style = "name" if one.certainty is not None else "dim"
        took = _took(one.longest)
        rows.append((str(len(one.pids)), str(one.running or ""), took, sure, (first, style)))
        rows += [("", "", "", "", (f"  {text}", "dim")) for text in more]
    return table(screen, _COLUMNS, rows, indent)


def _said(match: Match | None, url: str) -> list[str]:
    if match is None:
        return ["no statement is shown"]
    if match.fit is Fit.NONE:
        return ["no saved panel (Explore or an unsaved edit)"]
    links = [f"{one.place}  {url}{one.link}" if one.link else one.place for one in match.panels[:NAMED]]
    left = match.count - NAMED
    more = [f"and {left} more"] if left > 0 else []
    if match.fit is Fit.EXACT:
        (panel,) = match.panels
        return [panel.place, *([f"{url}{panel.link}"] if panel.link else []), *([match.why] if match.why else [])]
    if match.fit is Fit.SAME_SQL:
        return [f"one of {match.count} panels with the same SQL", *links, *more]
    learned = ["the first had this query id before"] if match.learned else []
    if len(match.panels) == 1:
        return [f"perhaps {match.panels[0].place}", match.why]
    return [f"one of {match.count} candidates: {match.why}", *links, *more, *learned]


def _took(micros: int | None) -> str:
    if micros is None:
        return ""
    seconds = micros / 1_000_000
    if seconds < 1:
        return f"{max(0, micros) // 1000}ms"
    return f"{seconds:.1f}s" if seconds < 60 else f"{int(seconds) // 60}min{int(seconds) % 60:02}s"


def _panels(one: PanelSlots) -> tuple[Panel, ...]:
    return one.match.panels if one.match is not None else ()


def _pipe_row(one: PanelSlots, panel: Panel | None, url: str) -> tuple[str, ...]:
    match = one.match
    told = (panel.kind.value, str(panel.org), panel.folder, panel.dashboard, panel.title, panel.ref_id,
            f"{url}{panel.link}" if panel.link else "") if panel is not None else ("",) * 7  # fmt: skip
    return (
        str(len(one.pids)), str(one.running), "" if one.longest is None else f"{one.longest / 1000:.3f}",
        match.fit.value if match is not None else "", one.certainty.value if one.certainty is not None else "",
        "yes" if match is not None and match.cut else "no", match.why if match is not None else "", *told,
        " ".join(map(str, one.pids)),
    )  # fmt: skip


def panels_json(look: PanelLook, slots: Sequence[PanelSlots], url: str) -> dict[str, Any]:
    """What `pgusher grafana panels --json` prints."""
    return {
        "schema": SCHEMA,
        "kind": "grafana_panels",
        "queries": look.queries,
        "dashboards": look.dashboards,
        "limit": look.limit,
        "cut": look.cut,
        "slots": [_slots(one, url) for one in slots],
        "gaps": [gap_json(gap) for gap in look.gaps],
    }


def sent_json(one: Sent, url: str) -> dict[str, Any]:
    """What the statement of one session says, as of a group of them, but for its own time."""
    told = _slots(PanelSlots(one.match, (one.pid,), int(one.running), one.took), url)
    del told["pids"]
    return {**told, "running": one.running}


def _slots(one: PanelSlots, url: str) -> dict[str, Any]:
    match = one.match
    return {
        "fit": match.fit.value if match is not None else None,
        "certainty": one.certainty.value if one.certainty is not None else None,
        "pids": list(one.pids),
        "running": one.running,
        "longest_ms": None if one.longest is None else round(one.longest / 1000, 3),
        "cut": match is not None and match.cut,
        "fitting": match.count if match is not None else 0,
        "learned": match is not None and match.learned,
        "why": match.why if match is not None else "",
        "panels": [_panel(panel, url) for panel in _panels(one)],
    }


def _panel(panel: Panel, url: str) -> dict[str, Any]:
    return {
        "kind": panel.kind.value, "folder": panel.folder, "dashboard": panel.dashboard, "title": panel.title,
        "ref_id": panel.ref_id, "org": panel.org, "uid": panel.uid, "panel_id": panel.panel_id,
        "link": f"{url}{panel.link}" if panel.link else "", "source": panel.source,
    }  # fmt: skip
