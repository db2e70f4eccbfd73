"""A data source of Grafana's may keep a good part of the slots open while nobody looks at a dashboard."""

from __future__ import annotations

from collections.abc import Iterator

from pgusher.diagnose.case import Held
from pgusher.diagnose.grafana import holder_of
from pgusher.diagnose.room import Room
from pgusher.diagnose.text import count
from pgusher.model.findings import Evidence, Finding, Remedy, Safety, Severity
from pgusher.model.grafana import Grafana
from pgusher.model.grafana_servers import sources_of
from pgusher.model.snapshot import Snapshot

WORST = Severity.NOTE
RATIO = 0.25
"""The share of the ordinary slots that may stay open when idle."""
YIELDS_TO = ("grafana-default-limit", "grafana-sources-exceed-slots")


def check(
    grafana: tuple[Grafana, ...], snapshot: Snapshot, holders: tuple[Held, ...], room: Room, ratio: float
) -> Iterator[Finding]:
    """From 12.4 on idle sessions close by themselves, and "Max idle" says nothing."""
    for one in grafana:
        for source in sources_of(one, snapshot):
            idle, most = source.limits.max_idle, source.limits.max_open
            stays = (idle.value or 0) * one.replicas
            if source.limits.idle_time.value is not None or room.share(stays) <= ratio:
                continue
            held = holder_of(one, holders)
            each = "any number" if most.value is None else count(most.value, "session")
            yield Finding(
                "grafana-idle-hoard",
                Severity.NOTE,
                idle.certainty,
                f"{one.name}:{source.org}:{source.uid}",
                f"Grafana may keep {stays} of {room.ceilings.ordinary} ordinary slots idle by one data source",
                detail=(f"It is data source {source.name}.",),
                evidence=(
                    Evidence(f"{idle.value} sessions stay open when idle: {idle.origin}", idle.certainty),
                    Evidence(f"it may take {each}: {most.origin}", most.certainty),
                ),
                remedies=(Remedy('set "Max idle" of the data source to 2', Safety.SAFE),),
                holder=held.name if held is not None else None,
            )
