"""What the rules about Grafana share: which holder it is, and how a limit is set."""

from __future__ import annotations

from collections.abc import Iterable

from pgusher.diagnose.case import Held
from pgusher.model.findings import Remedy, Safety
from pgusher.model.grafana import DataSource, Grafana
from pgusher.model.pattern import pattern

_PROGRAM = "Grafana"
_TYPED = pattern(r"[A-Za-z0-9_][\w.-]*")
_MOST = 3


def holder_of(grafana: Grafana, holders: Iterable[Held]) -> Held | None:
    """The holder that this Grafana is: by its processes, or the only one there is."""
    found = [held for held in holders if held.holder.program == _PROGRAM]
    mine = [held for held in found if set(held.holder.processes) & set(grafana.processes)]
    return mine[0] if mine else found[0] if len(found) == 1 and not grafana.processes else None


def limit_remedies(sources: Iterable[DataSource], most: int) -> tuple[Remedy, ...]:
    """A limit for those that may take most. A name that a shell would take apart is not printed to be typed."""
    ranked = sorted(sources, key=lambda one: -(one.limits.max_open.value or 1 << 30))
    found = []
    for source in ranked[:_MOST]:
        word = next((one for one in (source.name, f"{source.org}/{source.uid}") if _TYPED.fullmatch(one)), source.uid)
        command = f"pgusher grafana limit {word} {most}" if _TYPED.fullmatch(word) else ""
        text = f'set "Max open" of data source {source.name} to {most}, and "Max idle" to 2'
        found.append(Remedy(text, Safety.SAFE, command))
    return tuple(found)
