"""Both pools, and a server to try them on."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from pgusher.demo.server import EmbeddedServer
from tests.client.pool.flavours import FLAVOURS, Flavour
from tests.client.pool.proxy import Proxy


@pytest.fixture(params=sorted(FLAVOURS))
def flavour(request: pytest.FixtureRequest) -> Flavour:
    """Threads, then tasks."""
    return FLAVOURS[request.param]()


@pytest.fixture
def proxy(server: EmbeddedServer) -> Iterator[Proxy]:
    """A proxy before the server, not started."""
    made = Proxy("127.0.0.1", server.port)
    yield made
    made.stop()


@pytest.fixture
def through(server: EmbeddedServer, proxy: Proxy) -> str:
    """The connection string that goes through the proxy."""
    return server.dsn(port=str(proxy.port))
