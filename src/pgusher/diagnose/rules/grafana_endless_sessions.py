"""A data source of Grafana's never replaces a session: its lifetime is 0."""

from __future__ import annotations

from collections.abc import Iterator

from pgusher.diagnose.case import Held
from pgusher.diagnose.grafana import holder_of
from pgusher.diagnose.text import count, listed
from pgusher.model.findings import Evidence, Finding, Remedy, Safety, Severity
from pgusher.model.grafana import Grafana
from pgusher.model.grafana_servers import sources_of
from pgusher.model.snapshot import Snapshot

WORST = Severity.NOTE


def check(grafana: tuple[Grafana, ...], snapshot: Snapshot, holders: tuple[Held, ...]) -> Iterator[Finding]:
    """What is open stays open, for as long as Grafana runs."""
    for one in grafana:
        endless = [source for source in sources_of(one, snapshot) if source.limits.lifetime.value is None]
        endless = [source for source in endless if source.limits.max_open.origin != "fixed up to 5.3"]
        if not endless:
            continue
        held = holder_of(one, holders)
        number = count(len(endless), "data source")
        yield Finding(
            "grafana-endless-sessions",
            Severity.NOTE,
            max((source.limits.lifetime.certainty for source in endless), key=lambda sure: sure.rank),
            one.name,
            f"Grafana keeps the sessions of {number} for ever",
            detail=(f"They are: {listed([source.name for source in endless], 6)}.",),
            evidence=tuple(
                Evidence(f"the lifetime of {source.name} is 0: {source.limits.lifetime.origin}",
                         source.limits.lifetime.certainty)
                for source in endless[:6]
            ),
            remedies=(Remedy('set "Max lifetime" of the data source to 14400', Safety.SAFE),),
            holder=held.name if held is not None else None,
        )  # fmt: skip
