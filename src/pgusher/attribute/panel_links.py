"""What a Grafana uses a session for: the saved query that its statement fits, as the last link of the chain."""

from __future__ import annotations

from collections.abc import Iterable

from pgusher.model.evidence import Certainty, Gap
from pgusher.model.holder import Chain, Link, LinkKind
from pgusher.model.panel_slots import PanelLook, Sent
from pgusher.model.panels import Fit, Match, Panel
from pgusher.model.snapshot import Snapshot
from pgusher.model.values import replace

NO_PANEL = "no saved panel (Explore or an unsaved edit)"
_NAMED = 3
"""Places that evidence names when several fit."""
_KEPT = 12
"""Panels of one answer that a snapshot keeps: a thousand may have the same SQL."""


def with_panels(snapshot: Snapshot, look: PanelLook) -> Snapshot:
    """The snapshot with what was told of its sessions of Grafana's: a link for each, and the gaps.

    The same that `attribute` makes of its facts, at the cost of those chains alone.
    """
    look = without_sql(look)
    gap = cut_gap(look)
    more = [one for one in (*look.gaps, *((gap,) if gap is not None else ())) if one not in snapshot.facts.gaps]
    facts = replace(snapshot.facts, panels=look, gaps=(*snapshot.facts.gaps, *more))
    return replace(snapshot, facts=facts, chains=panel_chains(look, snapshot.chains))


def panel_chains(look: PanelLook, chains: Iterable[Chain]) -> tuple[Chain, ...]:
    """The chains; those of Grafana's whose statement is known, and was compared with something, with one more link."""
    told = {one.pid: one for one in look.sent if one.match is not None} if look.queries else {}
    return tuple(
        replace(chain, links=(*chain.links, panel_link(sent, look)))
        if (sent := told.get(chain.pid)) is not None
        else chain
        for chain in chains
    )


def panel_link(sent: Sent, look: PanelLook) -> Link:
    """What the statement of a session says of where it comes from. Never proven: anybody may send the same text."""
    match = sent.match or Match(Fit.NONE)
    sure = sent.certainty or Certainty.GUESSED
    if match.fit is Fit.NONE:
        text = f"its statement fits none of {look.queries} saved queries"
        return Link(LinkKind.PANEL, NO_PANEL, sure, _cut(text, match, look))
    first = match.panels[0]
    if match.fit is Fit.EXACT:
        why = f"; {match.why}" if match.why else ""
        where = f": {look.url}{first.link}" if first.link else ""
        return Link(LinkKind.PANEL, first.place, sure, f"its statement fits this saved query and no other{why}{where}")
    named = ", ".join(_place(one, look.url) for one in match.panels[:_NAMED])
    named += f" and {match.count - _NAMED} more" if match.count > _NAMED else ""
    if match.fit is Fit.SAME_SQL:
        subject = f"one of {match.count} panels with the same SQL"
        return Link(LinkKind.PANEL, subject, sure, _cut(named, match, look))
    if match.count == 1:
        return Link(LinkKind.PANEL, f"perhaps {first.place}", sure, _cut(match.why, match, look))
    known = "; the first had this query id before" if match.learned else ""
    evidence = f"{match.why}: {named}{known}" if match.why else f"{named}{known}"
    return Link(LinkKind.PANEL, f"one of {match.count} panels", sure, _cut(evidence, match, look))


def cut_gap(look: PanelLook) -> Gap | None:
    """That the server shows too little of statements to name their panel; None where it was enough."""
    unsure = [one for one in look.sent if one.match is not None and one.match.cut and one.match.fit is not Fit.EXACT]
    if not unsure or not look.queries:
        return None
    return Gap(
        "grafana",
        f"which panels {len(unsure)} {'session' if len(unsure) == 1 else 'sessions'} of Grafana's belong to",
        f"the server shows {look.limit - 1} bytes of a statement",
        "a larger track_activity_query_size, and a restart of the server",
        len(unsure),
    )


def without_sql(look: PanelLook) -> PanelLook:
    """The same without the saved SQL, which may hold what nobody else is to see, and which nothing later needs."""
    made: dict[Panel, Panel] = {}
    kept = []
    for one in look.sent:
        match = one.match
        if match is not None and match.panels:
            panels = tuple(_bare(panel, made) for panel in match.panels[:_KEPT])
            kept.append(replace(one, match=replace(match, panels=panels, more=match.count - len(panels))))
        else:
            kept.append(one)
    return replace(look, sent=tuple(kept))


def _bare(panel: Panel, made: dict[Panel, Panel]) -> Panel:
    found = made.get(panel)
    if found is None:
        found = made[panel] = replace(panel, sql="", wild=(), loose=())
    return found


def _place(panel: Panel, url: str) -> str:
    return f"{panel.place} ({url}{panel.link})" if panel.link else panel.place


def _cut(text: str, match: Match, look: PanelLook) -> str:
    shown = f"{look.limit - 1}"
    if not match.cut or f"{look.limit - 1:,} bytes" in text or f"{shown} bytes" in text:
        return text
    return f"{text}; the server shows {shown} bytes of it (track_activity_query_size)"
