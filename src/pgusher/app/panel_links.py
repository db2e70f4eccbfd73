"""The panels of a look: each session of a Grafana's gets a link to the saved query that it runs, or ran last.

Loaded by a look that has found a Grafana, or was told of one by its URL, and by no other.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping

from pgusher.app.config import Config
from pgusher.app.grafana import Wish, access, find, running
from pgusher.app.panels import PanelFinder
from pgusher.attribute.panel_links import with_panels
from pgusher.collect.postgres.connect import Connection
from pgusher.errors import PgusherError
from pgusher.model.evidence import Gap
from pgusher.model.grafana import Grafana
from pgusher.model.snapshot import Snapshot
from pgusher.model.values import replace

WITHIN = 10.0
"""Seconds that a look waits for all dashboards of a Grafana that is asked by its API; what is left is a gap."""
_KEPT = 300.0
"""Seconds for which what an API said is not asked again: a watch waits for it."""


class PanelLinks:
    """Finds the panels look after look; what was read of dashboards, and learned of query ids, is kept."""

    def __init__(
        self, config: Config, *, monotonic: Callable[[], float], environ: Mapping[str, str] | None = None
    ) -> None:
        """The Grafana is the one that the environment or the configuration names; those of this host otherwise."""
        self._config = config
        self._monotonic = monotonic
        self._environ = os.environ if environ is None else environ
        self._finder: PanelFinder | None = None
        self._named: tuple[float, tuple[Grafana, ...]] | None = None
        self._url = ""

    def link(self, snapshot: Snapshot, connection: Connection, timeout: float) -> Snapshot:
        """The snapshot with a link for each session of a Grafana's whose statement is known; the same where none is.

        Raises nothing: what cannot be told is a gap.
        """
        try:
            grafanas = self._grafanas(snapshot)
        except PgusherError as error:
            gap = Gap("grafana", "its dashboards", str(error), error.hint or "")
            return replace(snapshot, facts=replace(snapshot.facts, gaps=(*snapshot.facts.gaps, gap)))
        if self._finder is None:
            return snapshot
        look = self._finder.look(snapshot, grafanas, connection, timeout)
        return with_panels(snapshot, replace(look, url=self._url)) if look.sent else snapshot

    def _grafanas(self, snapshot: Snapshot) -> tuple[Grafana, ...]:
        now = self._monotonic()
        if self._finder is None:
            how, _ = access(Wish(), self._config, self._environ) or (None, None)
            kept = _KEPT if how is not None else None
            self._finder = PanelFinder(how, running, monotonic=self._monotonic, within=WITHIN, kept=kept)
            self._url = how.url if how is not None else ""
        asked = self._finder.asked
        if asked is None:
            return snapshot.facts.grafana
        if self._named is None or now - self._named[0] >= _KEPT:
            self._named = now, find(asked, running())
        return self._named[1]
