from __future__ import annotations

import threading
from typing import Any

import pytest

from pgusher.app.config import Config
from pgusher.app.live import Live
from pgusher.app.look import Look
from pgusher.errors import UnreachableError, UsageError
from pgusher.model.server import Attempt, Rung, View
from pgusher.model.values import replace
from tests.surfaces import worlds
from tests.surfaces.fakes import FakeApp

FULL = worlds.incident()


def looker(*looks: Any) -> Any:
    return FakeApp(*looks)


LOOK = Look((FULL,), 1.0)


def test_the_first_look_is_there_when_it_has_started_and_more_come() -> None:
    live = Live(looker(LOOK), Config(), every=0.01)
    live.start()
    try:
        assert live.newest().look is LOOK
        later = live.wait(3, 30)
        assert later.number > 3
        assert live.sums()[0].holders[0][1] == max(len(holder.sessions) for holder in FULL.holders)
    finally:
        live.close()
    assert threading.active_count() == 1 or all(t.name != "pgusher-live" for t in threading.enumerate())


def test_a_failed_look_keeps_the_one_before_and_says_why() -> None:
    live = Live(looker(LOOK, UnreachableError("gone"), LOOK), Config())
    live.step()
    failed = live.step()
    assert failed.look is LOOK
    assert str(failed.error) == "gone"
    assert failed.failures == 1
    assert live.step().error is None


def test_a_mistake_of_whoever_asked_is_raised_at_the_start() -> None:
    with pytest.raises(UsageError):
        Live(looker(UsageError("no such port")), Config()).start()


def test_a_server_that_is_down_at_the_start_is_waited_for() -> None:
    live = Live(looker(UnreachableError("starting up"), LOOK), Config())
    live.step()
    assert live.newest().look is None
    assert live.step().look is LOOK


def test_refusals_are_counted() -> None:
    view = View(Rung.TITLES, (Attempt("x", "too many", "53300"),), refuses="too many")
    refused = Look((replace(FULL, facts=replace(FULL.facts, view=view)),), 1.0)
    quiet = Look((worlds.quiet(),), 1.0)
    live = Live(looker(quiet, refused, refused, quiet), Config())
    assert [live.step().refusals for _ in range(4)] == [0, 1, 2, 2]


def test_whoever_waits_is_woken_by_the_end() -> None:
    live = Live(looker(LOOK), Config(), every=3600)
    live.start()
    woken = threading.Thread(target=live.wait, args=(live.newest().number, 3600))
    woken.start()
    live.close()
    woken.join(30)
    assert not woken.is_alive()


def test_a_day_of_looks_takes_no_more_memory_than_an_hour() -> None:
    live = Live(looker(LOOK), Config(), monotonic=lambda: 0.0)

    def resident() -> int:
        with open("/proc/self/statm", encoding="ascii") as file:
            return int(file.read().split()[1]) * 4096

    for _ in range(5000):
        live.step()
    before = resident()
    for _ in range(95_000):
        live.step()
    assert live.newest().number == 100_000
    assert len(live.sums()) == 3600
    assert resident() - before < 8_000_000
