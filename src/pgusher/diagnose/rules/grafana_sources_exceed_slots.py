"""Grafana's data sources may take more of the server together than their share."""

from __future__ import annotations

from collections.abc import Iterator

from pgusher.diagnose.case import Held
from pgusher.diagnose.grafana import holder_of, limit_remedies
from pgusher.diagnose.room import Room
from pgusher.diagnose.text import count
from pgusher.model.evidence import Certainty
from pgusher.model.findings import Evidence, Finding, Severity
from pgusher.model.grafana import DataSource, Grafana
from pgusher.model.grafana_servers import sources_of
from pgusher.model.snapshot import Snapshot

WORST = Severity.WARNING
RATIO = 0.5
"""The share of the ordinary slots that all data sources of one Grafana may take together."""
YIELDS_TO = ("grafana-default-limit",)


def check(
    grafana: tuple[Grafana, ...], snapshot: Snapshot, holders: tuple[Held, ...], room: Room, ratio: float
) -> Iterator[Finding]:
    """Each data source has a pool in each process: what they may take is the sum over both."""
    for one in grafana:
        mine = sources_of(one, snapshot)
        most = _sum(mine, one.replicas)
        if mine and (most is None or room.share(most) > ratio):
            yield _finding(one, mine, most, room, holders, ratio)


def _sum(sources: tuple[DataSource, ...], replicas: int) -> int | None:
    total = 0
    for source in sources:
        if source.limits.max_open.value is None:
            return None
        total += source.limits.max_open.value * replicas
    return total


def _finding(
    one: Grafana, mine: tuple[DataSource, ...], most: int | None, room: Room, holders: tuple[Held, ...], ratio: float
) -> Finding:
    held = holder_of(one, holders)
    number = len(mine)
    takes = "any number" if most is None else str(most)
    message = f"Grafana may take {takes} of {room.ceilings.ordinary} ordinary slots by {count(number, 'data source')}"
    evidence = []
    for source in sorted(mine, key=lambda each: -(each.limits.max_open.value or 1 << 30))[:6]:
        figure = source.limits.max_open
        each = "any number" if figure.value is None else count(figure.value, "session")
        by = f" in each of {one.replicas} processes" if one.replicas > 1 else ""
        evidence.append(Evidence(f"{source.name} may take {each}{by}: {figure.origin}", figure.certainty))
    sure = Certainty.weakest(*(fact.certainty for fact in evidence))
    share = max(2, int(room.ordinary * ratio) // (number * one.replicas))
    return Finding(
        "grafana-sources-exceed-slots",
        Severity.WARNING if most is None or most > room.ordinary else Severity.NOTE,
        sure,
        one.name,
        message,
        detail=("It takes them when its dashboards ask at once, and keeps them.",),
        evidence=tuple(evidence),
        remedies=limit_remedies(mine, share),
        holder=held.name if held is not None else None,
    )
