"""Fixtures for all tests: servers that the tests start themselves, on free ports, and the bed around them."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

from pgusher.demo.account import server_account
from pgusher.demo.binaries import Binaries, binaries
from pgusher.demo.cache import ENVIRONMENT, Cache
from pgusher.demo.server import EmbeddedServer
from tests.bed.bed import HBA, Bed, prepare
from tests.bed.requirements import why_missing

# How fast an input is made, or a test runs on it, says more about what else the machine does than about the code.
settings.register_profile("any-machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("any-machine")

_CACHE = pytest.StashKey[Cache]()

NewServer = Callable[..., EmbeddedServer]


def pytest_configure(config: pytest.Config) -> None:
    """One cache of templates for the whole run: the workers of xdist inherit its name."""
    # A shell starts what it runs in the background with the first two ignored, nohup with the third, and what we start
    # would inherit it: the tests press Ctrl-C on themselves and on others, and stop servers by QUIT.
    for number in (signal.SIGINT, signal.SIGQUIT, signal.SIGHUP):
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)
    if ENVIRONMENT not in os.environ and not hasattr(config, "workerinput"):
        cache = Cache()
        os.environ[ENVIRONMENT] = cache.directory(server_account())
        config.stash[_CACHE] = cache


def pytest_unconfigure(config: pytest.Config) -> None:
    """It goes with the run."""
    cache = config.stash.get(_CACHE, None)
    if cache is not None:
        del os.environ[ENVIRONMENT]
        cache.close()


def _server(wanted: Binaries | int, settings: dict[str, Any]) -> EmbeddedServer:
    """A server of the tests, not yet started; a version that is not here is a skip with its reason."""
    if isinstance(wanted, int) and wanted not in binaries():
        pytest.skip(why_missing(wanted))
    return EmbeddedServer(wanted, hba=HBA, **{"max_connections": 40, "authentication_timeout": 600, **settings})


@pytest.fixture(scope="module")
def server(request: pytest.FixtureRequest) -> Iterator[EmbeddedServer]:
    """A server for the tests of one file: PostgreSQL 18, or with `each_version` every version in turn.

    It has 40 slots unless the file's `SERVER_SETTINGS` say otherwise, and the roles and databases of tests.bed.bed.
    """
    with _server(getattr(request, "param", 18), getattr(request.module, "SERVER_SETTINGS", {})) as started:
        prepare(started)
        yield started


@pytest.fixture
def new_server() -> Iterator[NewServer]:
    """Start further servers: `new_server(18, max_connections=10)`. They end with the test."""
    started: list[EmbeddedServer] = []

    def start(wanted: Binaries | int = 18, **settings: Any) -> EmbeddedServer:
        server = _server(wanted, settings)
        started.append(server)
        server.start()
        prepare(server)
        return server

    yield start
    for server in reversed(started):
        server.stop()


@pytest.fixture
def bed(server: EmbeddedServer) -> Iterator[Bed]:
    """The server of this file with the holders of this test; they end with it."""
    made = Bed(server)
    yield made
    made.close()
