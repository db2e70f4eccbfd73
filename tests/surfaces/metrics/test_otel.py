"""Metrics by OTLP: the real SDK, and a receiver of the test's own that reads the protobuf."""

from __future__ import annotations

import gzip
import http.server
import math
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
    ExportMetricsServiceResponse,
)

from pgusher.demo.server import EmbeddedServer
from pgusher.surfaces.metrics.otel import Otel, address
from pgusher.surfaces.metrics.text import Sample, exposition, snapshot_samples
from tests.surfaces import findings, worlds

Series = tuple[str, tuple[tuple[str, str], ...]]


class Receiver:
    """Takes what is told, and keeps it."""

    def __init__(self) -> None:
        self.requests: list[tuple[str, ExportMetricsServiceRequest]] = []
        self.news = threading.Event()
        self.status = 200
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                if self.headers.get("content-encoding") == "gzip":
                    body = gzip.decompress(body)
                assert self.headers["content-type"] == "application/x-protobuf"
                outer.requests.append((self.path, ExportMetricsServiceRequest.FromString(body)))
                answer = ExportMetricsServiceResponse().SerializeToString()
                self.send_response(outer.status)
                self.send_header("content-type", "application/x-protobuf")
                self.send_header("content-length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)
                outer.news.set()

            def log_message(self, *_: Any) -> None:
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.02,))
        self.thread.start()

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()

    def series(self, number: int = -1) -> dict[Series, float]:
        found = {}
        for metric in self.metrics(number):
            data = metric.sum if metric.WhichOneof("data") == "sum" else metric.gauge
            for point in data.data_points:
                labels = tuple(sorted((one.key, one.value.string_value) for one in point.attributes))
                kind = point.WhichOneof("value")
                found[metric.name, labels] = float(getattr(point, kind))
        return found

    def metrics(self, number: int = -1) -> list[Any]:
        (resource,) = self.requests[number][1].resource_metrics
        return [metric for scope in resource.scope_metrics for metric in scope.metrics]

    def resource(self) -> dict[str, str]:
        (resource,) = self.requests[-1][1].resource_metrics
        return {one.key: one.value.string_value for one in resource.resource.attributes}


@pytest.fixture
def receiver(monkeypatch: pytest.MonkeyPatch) -> Iterator[Receiver]:
    for name in [name for name in os.environ if name.startswith("OTEL_")]:
        monkeypatch.delenv(name)
    made = Receiver()
    yield made
    made.close()


SAMPLES: list[Sample] = [("pgusher_looks_total", (), 7), *snapshot_samples(worlds.incident(), findings.INCIDENT)]


def test_it_tells_what_prometheus_is_told_by_the_same_names(receiver: Receiver) -> None:
    otel = Otel(lambda: SAMPLES, receiver.url, every=3600)
    assert otel.tell()
    otel.close()
    assert {path for path, _ in receiver.requests} == {"/v1/metrics"}
    told = receiver.series(0)
    finite = [one for one in SAMPLES if math.isfinite(one[2])]
    assert told == {(name, tuple(sorted(labels))): float(value) for name, labels, value in finite}
    assert [one[0] for one in SAMPLES if one not in finite] == ["pgusher_seconds_to_full"]
    lines = [line for line in exposition(finite).splitlines() if not line.startswith("#")]
    assert len(lines) == len(told)
    kinds = {metric.name: metric for metric in receiver.metrics(0)}
    assert kinds["pgusher_looks_total"].sum.is_monotonic
    assert kinds["pgusher_slots"].WhichOneof("data") == "gauge"
    assert kinds["pgusher_session_oldest_seconds"].unit == "s"
    assert kinds["pgusher_slots"].description.startswith("Slots by what their session does")
    assert receiver.resource()["service.name"] == "pgusher"


def test_a_holder_that_is_gone_is_told_no_more_and_names_are_harmless(receiver: Receiver) -> None:
    now = [("pgusher_holder_slots", (("holder", "a\x1b[31m\u202eb" + "x" * 500),), 3.0)]
    reads: list[list[Sample]] = [list(now), [("pgusher_holder_slots", (("holder", "other"),), 1.0)]]
    otel = Otel(lambda: reads.pop(0) if len(reads) > 1 else reads[0], receiver.url, every=3600)
    otel.tell()
    ((_, labels),) = receiver.series()
    assert "\x1b" not in labels[0][1]
    assert "\u202e" not in labels[0][1]
    assert len(labels[0][1]) <= 120
    otel.tell()
    assert receiver.series() == {("pgusher_holder_slots", (("holder", "other"),)): 1.0}
    otel.close()


def test_where_to_is_taken_from_the_environment_as_by_every_program(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", receiver.url)
    monkeypatch.setenv("OTEL_SERVICE_NAME", "slots of db1")
    otel = Otel(lambda: SAMPLES, every=3600)
    otel.tell()
    otel.close()
    assert receiver.requests[0][0] == "/v1/metrics"
    assert receiver.resource()["service.name"] == "slots of db1"


def test_a_collector_that_refuses_is_told_once_and_ends_nothing(receiver: Receiver) -> None:
    receiver.status = 400
    said: list[str] = []
    otel = Otel(lambda: SAMPLES, receiver.url, narrate=said.append, every=3600)
    otel.tell()
    otel.tell()
    receiver.status = 200
    otel.close()
    assert len(said) == 1
    assert said[0].startswith("opentelemetry: Failed to export")


@pytest.mark.parametrize(
    ("given", "where"),
    [
        ("http://c:4318", "http://c:4318/v1/metrics"),
        ("http://c:4318/", "http://c:4318/v1/metrics"),
        ("https://c/otlp", "https://c/otlp/v1/metrics"),
        ("https://c/otlp/v1/metrics", "https://c/otlp/v1/metrics"),
    ],
)
def test_the_path_of_metrics_is_added(given: str, where: str) -> None:
    assert address(given) == where


def test_the_command_tells_a_real_server(server: EmbeddedServer, receiver: Receiver, tmp_path: Path) -> None:
    words = ["serve", "--dsn", server.dsn(), "--listen", "0", f"--otel={receiver.url}"]
    environment = {**os.environ, "PGUSHER_STATE": str(tmp_path), "PYTHONPATH": "src",
                   "OTEL_METRIC_EXPORT_INTERVAL": "300"}  # fmt: skip
    command = [sys.executable, "-m", "pgusher", *words]
    process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        assert receiver.news.wait(60)
    finally:
        process.terminate()
        _, said = process.communicate(timeout=60)
    assert process.returncode == 0, said
    assert "Traceback" not in said
    told = receiver.series()
    (up,) = (value for (name, _), value in told.items() if name == "pgusher_up")
    assert up == 1
    slots = sum(value for (name, _), value in told.items() if name == "pgusher_slots")
    (most,) = (value for (name, _), value in told.items() if name == "pgusher_slots_max")
    assert slots == most
