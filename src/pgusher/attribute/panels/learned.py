"""What one exact match teaches about later ones with the same query id.

PostgreSQL's query id is the same for statements that differ in constants alone, so that it cannot prove a panel:
another with other literals has the same one. It settles the order of candidates, and says so.
"""

from __future__ import annotations

from pgusher.model.panels import Fit, Match, Panel
from pgusher.model.values import replace

_MOST = 10_000


class Learned:
    """The panels that were matched exactly, by query id: for the looks of one run."""

    def __init__(self) -> None:
        self._panels: dict[int, tuple[Panel, ...]] = {}

    def see(self, query_id: int | None, match: Match) -> Match:
        """The match, in the order that is known of its query id; an exact one is remembered."""
        if not query_id:
            return match
        known = self._panels.get(query_id, ())
        if match.fit is Fit.EXACT:
            if match.panels[0] not in known and len(self._panels) < _MOST:
                self._panels[query_id] = (*known, *match.panels)
        elif match.fit is Fit.CANDIDATES and len(known) == 1 and known[0] in match.panels:
            others = tuple(one for one in match.panels if one != known[0])
            return replace(match, panels=(*known, *others), learned=True)
        return match
