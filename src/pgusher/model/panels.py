"""The queries that a Grafana keeps: each panel, alert rule, variable and annotation that sends SQL to PostgreSQL."""

from __future__ import annotations

from enum import StrEnum

from pgusher.model.values import dataclass


class PanelKind(StrEnum):
    """What of a dashboard, or beside it, sends the query."""

    PANEL = "panel"
    LIBRARY = "library panel"
    """A panel that several dashboards share, told where it is kept and not where it is shown."""
    ALERT = "alert rule"
    VARIABLE = "variable"
    ANNOTATION = "annotation"


@dataclass(frozen=True, slots=True)
class Panel:
    """One query of a Grafana. Titles are hostile text, redacted; `sql` is as it is kept, and never shown."""

    sql: str = ""
    """The rawSql, with its macros and variables; "" in a snapshot, which keeps no saved SQL."""
    dashboard: str = ""
    """The dashboard's title; "" for an alert rule that belongs to none."""
    title: str = ""
    """The panel's, rule's, variable's or annotation's own name."""
    kind: PanelKind = PanelKind.PANEL
    ref_id: str = ""
    """ "A": which of a panel's queries it is."""
    folder: str = ""
    org: int = 1
    uid: str = ""
    """The dashboard's, library element's or rule's identity."""
    panel_id: int | None = None
    link: str = ""
    """Where a person finds it, below Grafana's own address: "/d/UID?viewPanel=2"."""
    source: str | None = None
    """The uid (or, in old dashboards, the name) of its data source; None where a variable or a default chooses it."""
    wild: tuple[str, ...] = ()
    """The variables whose values are known to contain SQL of their own."""
    loose: tuple[str, ...] = ()
    """Those that stand for an expression ("max(x)", "price desc"), by their known values, or that people type."""

    @property
    def place(self) -> str:
        """Its name for people: "Shop / Orders: Orders a minute (A)"."""
        where = " / ".join(part for part in (self.folder, self.dashboard) if part)
        kind = "" if self.kind is PanelKind.PANEL else f"{self.kind} "
        what = f"{kind}{self.title or (f'panel {self.panel_id}' if self.panel_id is not None else 'untitled')}"
        ref = f" ({self.ref_id})" if self.ref_id else ""
        return f"{where}: {what}{ref}" if where else f"{what}{ref}"


class Fit(StrEnum):
    """What the text of a query says of the panel that sent it."""

    EXACT = "exact"
    """One saved panel fits, and no other. It is still a comparison of texts: somebody can paste it into Explore."""
    SAME_SQL = "same SQL"
    """All that fit keep the very same SQL: it is one of them, and the text cannot tell which."""
    CANDIDATES = "candidates"
    """Several fit, or one fits in a way that leaves doubt."""
    NONE = "no saved panel"
    """Explore, an edit that was not saved, or somebody else with Grafana's role."""


@dataclass(frozen=True, slots=True)
class Match:
    """The answer for one query."""

    fit: Fit
    panels: tuple[Panel, ...] = ()
    """Those that fit, the best first."""
    cut: bool = False
    """The server had cut the text: at track_activity_query_size only the beginning of a query is there to compare."""
    learned: bool = False
    """The order was settled by an earlier exact match with the same query id."""
    why: str = ""
    """What leaves a doubt: "the server shows 1,023 bytes of a query"; "" when there is none."""
    more: int = 0
    """How many further ones fit: a snapshot keeps the first."""

    @property
    def count(self) -> int:
        """How many fit."""
        return len(self.panels) + self.more
