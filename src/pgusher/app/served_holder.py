"""What the page of one holder asks for beside the look: its budget, and the panels of a Grafana."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING

from pgusher.app.config import Config
from pgusher.app.look import Look
from pgusher.errors import PgusherError
from pgusher.model.budget import Claim, Sheet
from pgusher.model.evidence import Gap
from pgusher.model.panel_slots import PanelLook, PanelSlots
from pgusher.model.snapshot import Snapshot
from pgusher.model.values import dataclass, replace

if TYPE_CHECKING:
    from pgusher.app.panels import PanelFinder
    from pgusher.collect.postgres.connect import Connection
    from pgusher.model.grafana import Grafana

_KEPT = 60.0
"""Seconds for which it is not looked for Grafanas again."""


@dataclass(frozen=True, slots=True)
class Share:
    """The part of one holder in the budget of its server."""

    claim: Claim
    sheet: Sheet
    """The whole budget, for the sum that the claim is a part of."""


@dataclass(frozen=True, slots=True)
class Shown:
    """The saved queries that the sessions of one Grafana run, or ran last."""

    look: PanelLook
    slots: tuple[PanelSlots, ...]
    url: str = ""
    """Grafana's own address, where one was asked; "" otherwise."""


def share_of(snapshot: Snapshot, config: Config, name: str) -> Share | None:
    """What a holder may take, and from where that is known; None when it takes no slot."""
    from pgusher.app.budget import sheets

    (sheet,) = sheets(Look((snapshot,), 0.0), config)
    claim = next((one for one in sheet.claims if one.holder == name), None)
    return Share(claim, sheet) if claim is not None else None


class Panels:
    """Tells the panels of a Grafana's sessions; what it read of dashboards and learned of queries is kept."""

    def __init__(self, config: Config, monotonic: Callable[[], float], environ: Mapping[str, str] | None = None):
        self._config = config
        self._monotonic = monotonic
        self._environ = os.environ if environ is None else environ
        self._known: tuple[float, PanelFinder, tuple[Grafana, ...], str] | None = None

    def of(
        self,
        snapshot: Snapshot,
        name: str,
        connection: Callable[[], AbstractContextManager[Connection | None]],
        timeout: float,
    ) -> Shown | None:
        """None for a holder that is no Grafana. Raises nothing: what cannot be told is a gap.

        `connection` is asked for only when there is something to ask, for `timeout` seconds a statement.
        """
        from pgusher.app.panels import PROGRAM, grafana_sessions

        holder = snapshot.holder(name)
        if holder is None:
            return None
        pids = set(holder.sessions)
        if holder.program != PROGRAM and not (
            snapshot.facts.grafana
            and any(one.pid in pids for one in grafana_sessions(snapshot, snapshot.facts.grafana))
        ):
            return None
        if (looked := snapshot.facts.panels) is not None:
            return _shown(looked, pids, looked.url)
        try:
            finder, grafanas, url = self._grafana()
        except PgusherError as error:
            return Shown(PanelLook(gaps=(Gap("grafana", "its dashboards", str(error), error.hint or ""),)), ())
        with connection() as asked:
            told = finder.look(snapshot, grafanas, asked, timeout)
        return _shown(told, pids, url)

    def _grafana(self) -> tuple[PanelFinder, tuple[Grafana, ...], str]:
        from pgusher.app.grafana import Wish, access, find, running
        from pgusher.app.panels import PanelFinder

        now = self._monotonic()
        if self._known is None or now - self._known[0] >= _KEPT:
            how, _ = access(Wish(), self._config, self._environ) or (None, None)
            # The finder stays: what it has learned of query ids is worth more than what it costs.
            finder = self._known[1] if self._known is not None else PanelFinder(how, running, monotonic=self._monotonic)
            self._known = now, finder, find(how, running()), how.url if how is not None else ""
        return self._known[1:]


def _shown(told: PanelLook, pids: set[int], url: str) -> Shown:
    """What was told of these sessions."""
    from pgusher.attribute.panels.slots import by_panel

    mine = tuple(one for one in told.sent if one.pid in pids)
    cut = sum(one.match is not None and one.match.cut for one in mine)
    return Shown(replace(told, sent=mine, cut=cut), by_panel(mine), url)
