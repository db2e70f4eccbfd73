"""A client of the stand-in for Grafana, in this process."""

from __future__ import annotations

import json
from collections.abc import Mapping

from pgusher.collect.grafana.client import Access, Client, Transport
from pgusher.demo.grafana_stand_in import StandIn

URL = "http://grafana.example:3000"


def transport_of(stand_in: StandIn) -> Transport:
    """Requests that go nowhere else."""

    def send(
        method: str, url: str, headers: Mapping[str, str], body: bytes | None, _timeout: float
    ) -> tuple[int, bytes]:
        assert url.startswith(URL + "/")
        status, told = stand_in.handle(method, url.removeprefix(URL), headers, body or b"")
        return status, json.dumps(told).encode()

    return send


def client_of(stand_in: StandIn, *tokens: str) -> Client:
    """A client with these tokens; with one of the first organisation when there are none."""
    return Client(Access(URL, tokens or (stand_in.token(),)), transport_of(stand_in))
