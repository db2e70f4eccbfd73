"""Several data sources of Grafana's mean the same database: each has a pool of its own."""

from __future__ import annotations

from collections.abc import Iterator

from pgusher.diagnose.case import Held
from pgusher.diagnose.grafana import holder_of
from pgusher.diagnose.text import count, listed
from pgusher.model.evidence import Certainty
from pgusher.model.findings import Evidence, Finding, Remedy, Safety, Severity
from pgusher.model.grafana import DataSource, Grafana
from pgusher.model.grafana_servers import sources_of
from pgusher.model.snapshot import Snapshot

WORST = Severity.NOTE


def check(grafana: tuple[Grafana, ...], snapshot: Snapshot, holders: tuple[Held, ...]) -> Iterator[Finding]:
    """The same role in the same database of this server; copies in other organisations count."""
    for one in grafana:
        alike: dict[tuple[str, str], list[DataSource]] = {}
        for source in sources_of(one, snapshot):
            alike.setdefault((source.user, source.database), []).append(source)
        for (user, database), mine in alike.items():
            if len(mine) < 2:
                continue
            held = holder_of(one, holders)
            names = listed([f"{source.name} (organisation {source.org})" for source in mine], 6)
            yield Finding(
                "grafana-same-server-twice",
                Severity.NOTE,
                Certainty.LIKELY,
                f"{one.name}:{user}:{database}",
                f"Grafana has {count(len(mine), 'pool')} for one database: data sources alike",
                detail=(f"They are: {names}.",),
                evidence=tuple(
                    Evidence(f"{source.name} is role {user} in {database} at {source.where}", Certainty.LIKELY)
                    for source in mine[:6]
                ),
                remedies=(
                    Remedy("use one data source for all, or let their limits add up to what one may take", Safety.SAFE),
                ),
                holder=held.name if held is not None else None,
            )
