"""A server that refuses for lack of slots was reached, wherever it is; one that lets nobody in is no good news."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from pgusher.app.look import Look, Looker
from pgusher.app.request import Request
from pgusher.errors import UnreachableError
from pgusher.model.server import Rung
from pgusher.surfaces.cli.looking import exit_code
from pgusher.surfaces.render.headline import refusal, verdict_text
from pgusher.surfaces.render.tally import Status, tally
from tests.bed import Bed
from tests.bed.bed import APP
from tests.bed.proxy import Proxy

SERVER_SETTINGS = {"max_connections": 12}


@pytest.fixture
def elsewhere(bed: Bed) -> Iterator[Proxy]:
    """The server as if on another host: behind a port that is not its own, so that no process is led to."""
    with Proxy(("127.0.0.1", bed.server.port)) as proxy:
        yield proxy


def look(port: int, role: str = APP) -> Look:
    looker = Looker(Request(dsn=f"host=127.0.0.1 port={port} user={role} dbname=app"))
    try:
        return looker.look()
    finally:
        looker.close()


def test_a_full_server_elsewhere_is_a_finding(bed: Bed, elsewhere: Proxy) -> None:
    bed.fill(APP)
    seen = look(elsewhere.port)
    (snapshot,) = seen.snapshots
    assert snapshot.facts.view.rung is Rung.NONE
    assert tally(snapshot).status in {Status.REFUSES, Status.FULL}
    assert "connection slots are reserved" in refusal(snapshot) or "too many clients" in refusal(snapshot)
    assert exit_code(seen) == 1


def test_a_role_at_its_limit_elsewhere_is_one(bed: Bed, elsewhere: Proxy) -> None:
    with bed.role_limit(APP, 0):
        seen = look(elsewhere.port)
    (snapshot,) = seen.snapshots
    sums = tally(snapshot)
    assert sums.status is Status.LIMIT
    assert verdict_text(sums).startswith("role limit, ")
    assert 'refused us: "too many connections for role' in refusal(snapshot)
    assert exit_code(seen) == 1


def test_a_role_that_there_is_not_is_told_as_that(elsewhere: Proxy) -> None:
    with pytest.raises(UnreachableError, match="let nobody in") as raised:
        look(elsewhere.port, "nosuch")
    assert "-U ROLE" in str(raised.value.hint)


def test_a_limit_does_not_make_an_ordinary_slot_a_reserved_one(bed: Bed) -> None:
    with bed.role_limit(APP, 0):
        seen = look(bed.server.port)
    view = seen.snapshots[0].facts.view
    assert view.rung in {Rung.ORDINARY, Rung.TITLES}
    assert view.refuses is None
    if view.rung is Rung.TITLES:  # an ordinary user does not get in otherwise
        assert tally(seen.snapshots[0]).status is Status.LIMIT
