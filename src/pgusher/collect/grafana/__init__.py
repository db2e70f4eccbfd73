"""Grafana: its data sources and their limits, by its API, its files or its embedded database."""

from __future__ import annotations

from collections.abc import Iterable

from pgusher.collect.grafana.host import is_grafana, read_host
from pgusher.model.evidence import Gap
from pgusher.model.grafana import DataSource, Grafana, Place
from pgusher.model.grafana_limits import OPEN
from pgusher.model.pools import PoolLimit
from pgusher.model.process import Process
from pgusher.model.values import dataclass

__all__ = ["GrafanaFacts", "is_grafana", "look", "pools_of"]

PROGRAM = "Grafana"


@dataclass(frozen=True, slots=True)
class GrafanaFacts:
    """What this host tells of all Grafanas on it."""

    grafanas: tuple[Grafana, ...] = ()
    pools: tuple[PoolLimit, ...] = ()

    @property
    def gaps(self) -> tuple[Gap, ...]:
        """What could not be read of any of them."""
        return tuple(gap for one in self.grafanas for gap in one.gaps)


def look(processes: Iterable[Process], proc: str = "/proc") -> GrafanaFacts:
    """The data sources of each Grafana among these processes. Raises nothing: what may not be read is a gap."""
    found = read_host(processes, proc)
    return GrafanaFacts(found, pools_of(found))


def pools_of(grafanas: Iterable[Grafana]) -> tuple[PoolLimit, ...]:
    """The same as limits of processes, one for each process and data source."""
    found = []
    for one in grafanas:
        for pid in one.processes:
            found += [_pool(one, pid, source) for source in one.sources]
            if not one.sources and one.default_open is not None:
                line = one.default_open.origin.rpartition(":")[2]
                most = one.default_open.value or 0
                at = int(line) if line.isdigit() else 0
                found.append(PoolLimit(pid, PROGRAM, "max_open_conns_default", most, one.name, at))
    return tuple(found)


def _pool(grafana: Grafana, pid: int, source: DataSource) -> PoolLimit:
    place = source.limit_place or Place((source.place or Place(grafana.name)).file)
    return PoolLimit(pid, PROGRAM, OPEN, source.limits.max_open.value or 0, place.file, place.line, source.name)
