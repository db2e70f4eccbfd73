"""What the metrics are of a moment: the same for Prometheus, which asks, and for OpenTelemetry, which is told."""

from __future__ import annotations

from typing import Protocol

from pgusher.app.live import Moment, Sum
from pgusher.model.past import Past as Recorded
from pgusher.model.snapshot import Snapshot
from pgusher.surfaces.metrics.text import Sample, refusal_samples, snapshot_samples
from pgusher.surfaces.web.pages import forecast


class Sums(Protocol):
    """What keeps the sums of earlier looks."""

    def sums(self) -> tuple[Sum, ...]:
        """The oldest first."""


class Source(Protocol):
    """What knows of the time before a moment."""

    @property
    def live(self) -> Sums:
        """The looks."""

    def recorded(self, snapshot: Snapshot, /) -> Recorded | None:
        """What was recorded of the last day."""

    def refused(self, label: str, /) -> dict[str | None, int] | None:
        """How often a server refused since the start, by its log."""


def samples_of(source: Source, moment: Moment) -> list[Sample]:
    """All series of a moment; a server that was seen once keeps its series while it cannot be seen."""
    samples: list[Sample] = [
        ("pgusher_refused_looks_total", (), moment.refusals),
        ("pgusher_failed_looks_total", (), moment.failures),
        ("pgusher_looks_total", (), moment.number),
        ("pgusher_last_look_timestamp_seconds", (), moment.at / 1e6),
    ]
    if moment.look is not None:
        samples.append(("pgusher_collect_duration_seconds", (), moment.look.elapsed_ms / 1000))
        for snapshot, diagnosis in zip(moment.look.snapshots, moment.diagnoses, strict=True):
            past = [one for one in source.live.sums() if one.port == snapshot.facts.server.port]
            to_full = forecast(past, snapshot, source.recorded(snapshot))
            up = moment.error is None and snapshot.facts.view.rung.value != "nothing"
            samples += snapshot_samples(snapshot, diagnosis, up, to_full[0] if to_full else None)
            samples += refusal_samples(snapshot.facts.server.label, source.refused(snapshot.facts.server.label))
    return samples
