"""A server with what was found about it: what every surface that shows findings takes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from pgusher.model.findings import Diagnosis
from pgusher.model.snapshot import Snapshot
from pgusher.model.values import dataclass, replace

if TYPE_CHECKING:
    from pgusher.surfaces.render.find import Match


@dataclass(frozen=True, slots=True)
class Diagnosed:
    """One server with what was found about it."""

    snapshot: Snapshot
    diagnosis: Diagnosis
    names: tuple[str, ...] | None = None
    """The holders that were asked about; None for all."""


def about(servers: Sequence[Diagnosed], matches: Sequence[Match]) -> list[Diagnosed]:
    """Only the findings about what was meant, on the servers where it is."""
    found: list[Diagnosed] = []
    for one in servers:
        here = [match for match in matches if match.snapshot is one.snapshot]
        if not here:
            continue
        names = tuple(dict.fromkeys(holder.name for match in here for holder in match.holders))
        pids = {chain.pid for match in here for chain in match.chains}
        whole = {holder.name for match in here if match.reading == "holder" for holder in match.holders}
        kept = tuple(f for f in one.diagnosis.findings if f.holder in whole or pids & set(f.sessions))
        found.append(Diagnosed(one.snapshot, replace(one.diagnosis, findings=kept), names))
    return found
