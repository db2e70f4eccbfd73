"""A moment of the past, drawn as if it were now: out of a real store, and of a real server."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from pgusher.app.look import Look
from pgusher.app.request import Request
from pgusher.app.served import Keep, Served
from pgusher.demo.server import EmbeddedServer
from pgusher.model.evidence import Certainty
from pgusher.model.holder import LinkKind
from pgusher.model.snapshot import Snapshot
from pgusher.model.values import replace
from pgusher.surfaces.render.tally import states
from tests.bed.bed import APP
from tests.surfaces import worlds
from tests.surfaces.fakes import FakeApp

FULL = worlds.incident()
SECOND = 1_000_000
START = FULL.facts.taken_at
LABEL = FULL.facts.server.label
HOLE = (40, 1000)
"""Seconds between which nobody looked."""


QUIET = replace(worlds.quiet(), facts=replace(worlds.quiet().facts, server=FULL.facts.server))


def at(second: int, world: Snapshot = FULL) -> Any:
    return Look((replace(world, facts=replace(world.facts, taken_at=START + second * SECOND)),), 1.0)


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """Full for forty seconds; then nobody looked; then quiet for forty."""
    store = str(tmp_path_factory.mktemp("store") / "record.db")
    looks: list[Any] = [at(second) for second in range(0, HOLE[0], 2)]
    looks += [at(second, QUIET) for second in range(HOLE[1], HOLE[1] + 40, 2)]
    looker: Any = FakeApp(*looks)
    made = Served(Request(), looker=looker, keep=Keep(store, record=True))
    for _ in looks:
        made.live.step()
    yield made
    made.close()


def test_the_moment_has_the_holders_the_states_and_the_chains_that_it_had(served: Served) -> None:
    found = served.then(LABEL, START + 20 * SECOND, QUIET)
    assert found.snapshot is not None
    seen = found.snapshot
    assert seen.facts.taken_at == found.at == START + 20 * SECOND
    assert seen.taken == FULL.taken
    assert {one.name: len(one.sessions) for one in seen.holders} == {
        one.name: len(one.sessions) for one in FULL.holders if one.sessions
    }
    assert seen.holders[0].name == FULL.holders[0].name, "most slots first"
    assert [one.title for one in seen.holders[:1]] == [one.title for one in FULL.holders[:1]]
    assert states(seen) == states(FULL)
    assert seen.facts.ceilings is not None
    assert seen.facts.ceilings.ordinary == 97
    assert sum(one.own for one in seen.facts.sessions) == sum(one.own for one in FULL.facts.sessions)
    (chain, *_) = (one for one in seen.chains if one.holder == "cron/version_history")
    assert LinkKind.CRON in {link.kind for link in chain.links}
    assert chain.certainty is Certainty.PROVEN
    assert seen.facts.view.rung is FULL.facts.view.rung


def test_a_hole_is_told_and_passed_over_by_a_step(served: Served) -> None:
    middle = START + 500 * SECOND
    found = served.then(LABEL, middle, FULL)
    assert found.snapshot is None
    assert found.nothing == "nobody looked then"
    back, on = served.then(LABEL, middle, FULL, -1), served.then(LABEL, middle, FULL, 1)
    assert back.snapshot is not None
    assert START + 38 * SECOND <= back.at <= START + 44 * SECOND
    assert back.snapshot.taken == FULL.taken
    assert on.snapshot is not None
    assert on.at == (START + HOLE[1] * SECOND) // 1000 * 1000
    assert on.snapshot.taken == QUIET.taken


def test_what_is_not_kept_is_told(served: Served) -> None:
    assert served.then(LABEL, START - 60 * SECOND, FULL, -1).nothing == "nothing is kept of that time"
    assert served.then("port 1", START, FULL).nothing == "nothing is kept of this server"


def test_a_server_that_was_started_since_has_no_age_then(served: Served) -> None:
    server = replace(FULL.facts.server, started=START + 3600 * SECOND)
    now = replace(FULL, facts=replace(FULL.facts, server=server))
    found = served.then(LABEL, START, now)
    assert found.snapshot is not None
    assert found.snapshot.facts.server.started is None


def test_without_a_store_a_screen_has_one_of_its_own_while_it_is_open(
    server: EmbeddedServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PGUSHER_STATE", str(tmp_path))
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    served = Served(Request(dsn=server.dsn()), keep=Keep(temporary=True))
    (place,) = tmp_path.iterdir()
    assert os.stat(place).st_mode & 0o777 == 0o700
    try:
        with psycopg.connect(server.dsn(APP, "app")) as holder:
            pid = holder.info.backend_pid
            first = served.live.step()
        assert first.look is not None
        later = served.live.step()
        while later.look is not None and any(s.pid == pid for s in later.look.snapshots[0].facts.sessions):
            later = served.live.step()
        assert later.look is not None
        now = later.look.snapshots[0]
        # The memory begins with what was seen, a moment after the look began.
        seen_at = first.look.snapshots[0].facts.taken_at
        then = served.then(now.facts.server.label, seen_at, now).snapshot
        assert then is not None
        assert any(one.pid == pid and one.user == APP for one in then.facts.sessions)
        own = {one.pid for one in now.facts.sessions if one.own}
        assert own <= {one.pid for one in then.facts.sessions if one.own}
    finally:
        served.close()
    assert list(tmp_path.iterdir()) == []


def test_a_store_that_is_there_is_read_and_nothing_is_written(tmp_path: Path, served: Served) -> None:
    looker: Any = FakeApp(at(0))
    store = str(served._store)
    before = os.stat(store).st_size
    other = Served(Request(), looker=looker, keep=Keep(store, temporary=True))
    other.live.step()
    assert other.then(LABEL, START + 2 * SECOND, FULL).snapshot is not None
    other.close()
    assert os.stat(store).st_size == before
    none = Served(Request(), looker=looker, keep=Keep(str(tmp_path / "none.db")))
    assert "nothing is recorded" in none.then(LABEL, START, FULL).nothing
