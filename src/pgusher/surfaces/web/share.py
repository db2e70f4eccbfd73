"""What a holder's page says of its budget and of its panels, as plain values."""

from __future__ import annotations

from typing import Any

from pgusher.app.served_holder import Share, Shown
from pgusher.model.budget import Amount
from pgusher.model.evidence import Certainty
from pgusher.model.panel_slots import PanelSlots
from pgusher.model.panels import Fit, Panel
from pgusher.surfaces.render import words
from pgusher.surfaces.render.budget import ceilings, heads, may_words, verdict
from pgusher.surfaces.render.budget_json import claim_json
from pgusher.surfaces.render.panels import cut_words, headline, panels_json

_PANELS = 100
"""Answers that a page lists, and candidates of each."""


def share_words(share: Share | None) -> dict[str, Any] | None:
    """The budget of a holder: figures with their sources, what limits it and where, and the sum it is a part of."""
    if share is None:
        return None
    claim, sheet = share.claim, share.sheet
    figures = [("holds now", str(claim.holds), "", f"{claim.used} of them at work")]
    for title, amount in (("held at most", claim.peak), ("used at most", claim.busiest)):
        if amount is not None and amount.value is not None:
            figures.append((title, str(amount.value), _sure(amount), amount.source))
    figures.append(("may take", may_words(claim), _sure(claim.may), claim.may.source))
    if claim.each is not None and claim.processes:
        figures.append(("each process", str(claim.each), "", words.count(claim.processes, "process", "processes")))
    if claim.declared is not None:
        figures.append(("is given", str(claim.declared.total), "", claim.declared.place))
    caps = [f"{cap.name}: {cap.limit} together" for cap in sheet.caps if claim.holder in cap.holders]
    word, style = heads(sheet)
    return {
        "figures": figures,
        "settings": [(f"{one.name} = {one.value}" if one.value else one.name, one.place) for one in claim.settings],
        "notes": [*claim.notes, *caps],
        "roles": ", ".join(claim.roles),
        "sum": verdict(sheet),
        "word": word,
        "tone": {"good": "good", "alarm": "bad"}.get(style, "warn"),
        "ceilings": ", ".join(ceilings(sheet)),
    }


def panel_words(shown: Shown | None) -> dict[str, Any] | None:
    """The panels of a Grafana: each answer with its slots, how long its statement takes, and where it is."""
    if shown is None:
        return None
    rows = [
        {
            "slots": len(one.pids),
            "running": one.running,
            "longest": f"{one.longest / 1e6:.1f} s" if one.longest is not None else "",
            "sure": one.certainty.value if one.certainty is not None else "",
            "said": _said(one),
            "places": [_place(panel, shown.url) for panel in _of(one)[:_PANELS]],
            "more": max(0, len(_of(one)) - _PANELS),
        }
        for one in shown.slots[:_PANELS]
    ]
    return {
        "headline": headline(shown.look),
        "rows": rows,
        "more": max(0, len(shown.slots) - _PANELS),
        "cut": cut_words(shown.look) if shown.look.cut else "",
        "gaps": shown.look.gaps,
    }


def more_json(share: Share | None, shown: Shown | None) -> dict[str, Any]:
    """The same as data."""
    return {
        "budget": claim_json(share.claim) if share is not None else None,
        "panels": panels_json(shown.look, shown.slots, shown.url) if shown is not None else None,
    }


def _sure(amount: Amount) -> str:
    return "" if amount.certainty is Certainty.PROVEN else amount.certainty.value


def _of(one: PanelSlots) -> tuple[Panel, ...]:
    return one.match.panels if one.match is not None else ()


def _said(one: PanelSlots) -> str:
    match = one.match
    if match is None:
        return "no statement is shown"
    if match.fit is Fit.NONE:
        return "no saved panel (Explore or an unsaved edit)"
    if match.fit is Fit.SAME_SQL:
        return f"one of {match.count} panels with the same SQL"
    if match.fit is Fit.EXACT:
        return match.why
    return f"one of {match.count} candidates: {match.why}" if len(match.panels) > 1 else f"perhaps: {match.why}"


def _place(panel: Panel, url: str) -> tuple[str, str]:
    """Its name for people, and where Grafana shows it: text, as our pages lead nowhere else."""
    return panel.place, f"{url}{panel.link}" if panel.link else ""
