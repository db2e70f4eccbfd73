"""The series of /metrics told to OpenTelemetry: the same names, labels and values, by OTLP over HTTP.

A value that is not finite is left out: seconds to full of a server that is not filling.

Source of the settings: OpenTelemetry specification, "OpenTelemetry Protocol Exporter" and "Environment Variable
Specification": OTEL_EXPORTER_OTLP_ENDPOINT, OTEL_METRIC_EXPORT_INTERVAL and their kin are the SDK's own and hold here.
"""

from __future__ import annotations

import logging
import math
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.metrics import CallbackOptions, Observation
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.resources import Resource

from pgusher import __version__
from pgusher.surfaces.metrics.text import FAMILIES, Sample, label

_PATH = "/v1/metrics"
_END_WITHIN = 5.0


class Otel:
    """Tells the series every so often, in a thread of the SDK's, until it is closed."""

    def __init__(
        self,
        read: Callable[[], Sequence[Sample]],
        endpoint: str | None = None,
        *,
        narrate: Callable[[str], None] = lambda _: None,
        every: float | None = None,
        environ: Mapping[str, str] | None = None,
    ) -> None:
        """`read` gives the series of now. `endpoint`: where to, None as the environment says (else localhost:4318).

        `every`: seconds; None as the environment says, else 60. `narrate` gets what goes wrong with telling.
        """
        environ = os.environ if environ is None else environ
        self._read = read
        self._told: dict[str, list[Sample]] = {}
        self._voice = _Voice(narrate)
        logging.getLogger("opentelemetry").addHandler(self._voice)
        logging.getLogger("opentelemetry").propagate = False
        own = {"service.version": __version__}
        if "OTEL_SERVICE_NAME" not in environ:
            own["service.name"] = "pgusher"
        reader = PeriodicExportingMetricReader(
            OTLPMetricExporter(endpoint=address(endpoint) if endpoint else None),
            export_interval_millis=None if every is None else every * 1000,
        )
        self._provider = MeterProvider([reader], Resource.create(own), shutdown_on_exit=False)
        meter = self._provider.get_meter("pgusher", __version__)
        for place, (name, kind, told) in enumerate(FAMILIES):
            make: Any = meter.create_observable_counter if kind == "counter" else meter.create_observable_gauge
            make(name, [self._callback(name, first=place == 0)], _unit(name), told)

    def tell(self) -> bool:
        """Tells the series now, without waiting for the next time. Whether they arrived is narrated, where not."""
        return bool(self._provider.force_flush())

    def close(self) -> None:
        """Tells them once more, and ends."""
        self._provider.shutdown(timeout_millis=_END_WITHIN * 1000)
        logging.getLogger("opentelemetry").removeHandler(self._voice)

    def _callback(self, name: str, first: bool) -> Callable[[CallbackOptions], Iterable[Observation]]:
        def observe(_options: CallbackOptions) -> Iterator[Observation]:
            if first or not self._told:  # the SDK asks for one after the other: all are of one moment
                self._told = {}
                for sample in self._read():
                    self._told.setdefault(sample[0], []).append(sample)
            for _, labels, value in self._told.get(name, ()):
                if not math.isfinite(value):  # the SDK takes none: what is not filling has no time to be full
                    continue
                yield Observation(value, {key: label(text) for key, text in labels})

        return observe


def address(endpoint: str) -> str:
    """Where metrics go at an endpoint that is given as OTEL_EXPORTER_OTLP_ENDPOINT is: without their path."""
    return endpoint if urlsplit(endpoint).path.endswith(_PATH) else f"{endpoint.rstrip('/')}{_PATH}"


def _unit(name: str) -> str:
    return "s" if name.endswith("_seconds") else "1"


class _Voice(logging.Handler):
    """What the SDK logs, told as everything else that goes wrong; the same again is told once."""

    def __init__(self, narrate: Callable[[str], None]) -> None:
        super().__init__(logging.WARNING)
        self._narrate = narrate
        self._last = ""

    def emit(self, record: logging.LogRecord) -> None:
        """One line of it."""
        lines = record.getMessage().strip().splitlines()
        said = f"opentelemetry: {lines[0][:200]}" if lines else "opentelemetry: failed"
        if said != self._last:
            self._last = said
            self._narrate(said)
