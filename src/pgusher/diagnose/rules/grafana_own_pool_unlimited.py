"""The pool for Grafana's own tables has no limit, and is on this server."""

from __future__ import annotations

from collections.abc import Iterator

from pgusher.diagnose.case import Held
from pgusher.diagnose.grafana import holder_of
from pgusher.diagnose.remedies import alter_role
from pgusher.diagnose.room import Room
from pgusher.model.evidence import Certainty
from pgusher.model.findings import Evidence, Finding, Remedy, Safety, Severity
from pgusher.model.grafana import Grafana
from pgusher.model.grafana_servers import points_at
from pgusher.model.snapshot import Snapshot

WORST = Severity.NOTE


def check(grafana: tuple[Grafana, ...], snapshot: Snapshot, holders: tuple[Held, ...], room: Room) -> Iterator[Finding]:
    """It is another pool than those of the data sources, with settings of its own."""
    for one in grafana:
        own = one.own
        if own is None or own.max_open.value is not None or not points_at(own, snapshot.facts):
            continue
        held = holder_of(one, holders)
        wanted = max(5, room.ordinary // 20)
        loses = "requests of Grafana above it"
        yield Finding(
            "grafana-own-pool-unlimited",
            Severity.NOTE,
            Certainty.LIKELY,
            one.name,
            f"Grafana may take any of {room.ceilings.ordinary} ordinary slots for its own tables",
            evidence=(
                Evidence(f"its own tables are in {own.database}, as role {own.user}", Certainty.LIKELY),
                Evidence(f"no max_open_conn: {own.max_open.origin}", Certainty.LIKELY),
            ),
            remedies=(
                Remedy(f"set [database] max_open_conn = {wanted} in grafana.ini, and restart it", Safety.SAFE),
                alter_role(own.user, f"CONNECTION LIMIT {wanted}", "or limit its role, if no other uses it", loses),
            ),
            holder=held.name if held is not None else None,
        )
