from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pgusher.app.look import Look
from pgusher.app.request import Request
from pgusher.app.served import Keep, Served
from pgusher.errors import PgusherError, RefusedError, UsageError
from pgusher.model.values import replace
from pgusher.record.database import StoreError
from tests.surfaces import worlds
from tests.surfaces.fakes import FakeApp

FULL = worlds.incident()
SECOND = 1_000_000
START = FULL.facts.taken_at // (60 * SECOND) * 60 * SECOND
SERVER = str(FULL.facts.server.port)


def at(second: int) -> Look:
    return Look((replace(FULL, facts=replace(FULL.facts, taken_at=START + second * SECOND)),), 1.0)


def looker(*looks: Any) -> Any:
    return FakeApp(*looks)


@pytest.fixture
def store(tmp_path: Path) -> str:
    return str(tmp_path / "record.db")


@pytest.fixture
def recorded(store: str) -> Iterator[Served]:
    """Five minutes of looks, kept; all from the thread of the tests."""
    looks = [at(second) for second in range(0, 300, 2)]
    served = Served(Request(), looker=looker(*looks), keep=Keep(store, record=True))
    for _ in looks:
        served.live.step()
    yield served
    served.close()


def test_what_was_looked_at_is_there_after_the_end(recorded: Served, store: str) -> None:
    recorded.close()
    later = Served(Request(), looker=looker(at(0)), keep=Keep(store))
    past = later.past(SERVER, "2026-01-24T03:14:00Z", "10min")
    assert past.wrong == ""
    assert past.held is not None
    (first, *_) = past.held
    assert first.name == FULL.holders[0].name
    assert sum(one.slots for one in past.held) == FULL.taken
    assert first.slots == len(FULL.holders[0].sessions)
    known = [held for _, held in past.points if held is not None]
    assert known
    assert max(sum(held.values()) for held in known) == FULL.taken
    assert FULL.facts.ceilings is not None
    assert past.ordinary == FULL.facts.ceilings.ordinary


def test_the_last_day_is_there_for_a_forecast(recorded: Served, store: str) -> None:
    assert recorded._memory is not None
    recorded._memory._recorder.commit()
    moment = recorded.live.newest()
    assert moment.look is not None
    past = recorded.recorded(moment.look.snapshots[0])
    assert past is not None
    assert past.total is not None
    assert max(number or 0 for number in past.total.most) == FULL.taken
    none = Served(Request(), looker=looker(at(0)), keep=Keep(f"{store}.none"))
    assert none.recorded(FULL) is None


def test_a_time_in_which_nobody_looked_is_not_called_empty(recorded: Served, store: str) -> None:
    recorded.close()
    later = Served(Request(), looker=looker(at(0)), keep=Keep(store))
    past = later.past(SERVER, "2026-01-24T05:00:00Z", "")
    assert past.held is None
    assert past.nothing.startswith("Nobody looked then")


@pytest.mark.parametrize(("when", "span"), [("nonsense", ""), ("08:00", "a while"), ("\x00", "1h"), ("99:99", "1h")])
def test_what_is_no_time_is_told(recorded: Served, when: str, span: str) -> None:
    assert recorded.past(SERVER, when, span).wrong.startswith("cannot read that: give a")


def test_a_second_writer_is_refused_before_it_looks(recorded: Served, store: str) -> None:
    with pytest.raises(StoreError):
        Served(Request(), looker=looker(at(0)), keep=Keep(store, record=True))


def test_a_store_that_fails_ends_no_look(recorded: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    memory = recorded._memory
    assert memory is not None

    def full(_snapshots: Any) -> None:
        raise StoreError("no space left on device")

    monkeypatch.setattr(memory._recorder, "take", full)
    before = recorded.live.newest().number
    assert recorded.live.step().number == before + 1
    assert recorded.trouble == "no space left on device"


def test_without_the_flag_nothing_is_done() -> None:
    served = Served(Request(), looker=looker(at(0)))
    with pytest.raises(RefusedError, match="this page only shows"):
        served.apply("k7f3")


def test_what_the_command_says_is_an_error_of_the_page() -> None:
    served = Served(Request(), looker=looker(at(0)), options=["--port=1"], allow_actions=True)
    with pytest.raises(PgusherError, match="no PostgreSQL server was found on port 1"):
        served.plan("cron/x")
    with pytest.raises(PgusherError):
        served.apply("zzzz")


def test_the_page_of_a_rule() -> None:
    served = Served(Request(), looker=looker(at(0)))
    assert "stuck" in served.rule("stuck-job")
    with pytest.raises(UsageError):
        served.rule("../../etc/passwd")
