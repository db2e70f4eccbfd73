"""Slots by panel: the sessions of a Grafana, each with its answer, gathered for a person."""

from __future__ import annotations

from collections.abc import Iterable

from pgusher.model.panel_slots import PanelSlots, Sent
from pgusher.model.panels import Fit, Panel


def by_panel(sent: Iterable[Sent], *, slow: bool = False) -> tuple[PanelSlots, ...]:
    """Most slots first; with `slow` the longest statement first."""
    groups: dict[tuple[Fit | None, tuple[Panel, ...]], list[Sent]] = {}
    for one in sent:
        key = (one.match.fit, one.match.panels) if one.match is not None else (None, ())
        groups.setdefault(key, []).append(one)
    found = []
    for several in groups.values():
        took = [one.took for one in several if one.took is not None]
        pids = tuple(sorted(one.pid for one in several))
        running = sum(one.running for one in several)
        found.append(PanelSlots(several[0].match, pids, running, max(took, default=None)))
    if slow:
        return tuple(sorted(found, key=lambda one: (-(one.longest or 0), one.pids)))
    return tuple(sorted(found, key=lambda one: (one.match is None, -len(one.pids), -(one.longest or 0), one.pids)))
