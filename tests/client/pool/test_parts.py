"""The parts that need no server: delays, the gate, the threads, the histogram, the limits."""

from __future__ import annotations

import gc
import threading
import time
import weakref
from pathlib import Path

import psycopg
import pytest
from hypothesis import given
from hypothesis import strategies as st

import pgusher
from pgusher.client.backoff import Backoff
from pgusher.client.crew import Post, Timekeeper
from pgusher.client.gate import FULL_CAP, OwnGate, own_gate
from pgusher.client.limits import Limits, SelfLimits
from pgusher.client.stats import Waits


def highest(_: float, most: float) -> float:
    return most


def lowest(least: float, _: float) -> float:
    return least


def test_delays_double_from_ten_milliseconds_up_to_the_cap() -> None:
    backoff = Backoff(0.25, uniform=highest)
    assert [backoff.next() for _ in range(7)] == [0.01, 0.02, 0.04, 0.08, 0.16, 0.25, 0.25]
    backoff.reset()
    assert backoff.next() == 0.01


def test_the_jitter_is_full_while_they_grow_and_small_at_the_cap() -> None:
    backoff = Backoff(0.04, uniform=lowest)
    assert [backoff.next() for _ in range(3)] == pytest.approx([0.0, 0.0, 0.036])


@given(st.integers(0, 3000))
def test_any_number_of_tries_stays_within_the_cap(tries: int) -> None:
    backoff = Backoff(0.5)
    backoff.tries = tries
    assert 0.0 <= backoff.next() <= 0.5


def test_a_gate_lets_everybody_pass_while_there_is_room() -> None:
    gate = OwnGate()
    assert [gate.may_connect(0.0) for _ in range(3)] == [0.0, 0.0, 0.0]
    for _ in range(3):
        gate.room(0.0)


def test_while_it_is_full_one_asks_for_all() -> None:
    gate = OwnGate(Backoff(0.5, uniform=highest))
    assert gate.may_connect(0.0) == 0.0
    gate.refused(0.0)
    assert gate.may_connect(0.0) == pytest.approx(0.01)
    assert gate.may_connect(0.01) == 0.0
    assert gate.may_connect(0.02) > 0.0  # one is under way
    gate.refused(0.02)
    assert gate.may_connect(0.02) == pytest.approx(0.02)
    gate.closed()  # one of our own sessions has ended: there may be room at once
    assert gate.may_connect(0.02) == 0.0
    gate.room(0.03)
    assert gate.may_connect(0.03) == 0.0
    assert gate.refusals == 2


def test_at_the_cap_two_a_second() -> None:
    gate, now, asked = OwnGate(), 0.0, 0
    while now < 60.0:
        delay = gate.may_connect(now)
        if delay == 0.0:
            asked += 1
            gate.refused(now)
        else:
            assert delay <= FULL_CAP
            now += delay
    assert asked <= 6 + 60 * 2.4


def test_another_failure_says_nothing_about_room() -> None:
    gate = OwnGate(Backoff(0.5, uniform=highest))
    assert gate.may_connect(0.0) == 0.0
    gate.refused(0.0)
    assert gate.may_connect(1.0) == 0.0
    gate.failed(1.0)
    assert gate.may_connect(1.0) == 0.0


def test_the_gate_of_a_process_is_one_for_each_server() -> None:
    assert own_gate("one:5432") is own_gate("one:5432")
    assert own_gate("one:5432") is not own_gate("two:5432")


def test_the_timekeeper_calls_in_order_and_survives_an_error(caplog: pytest.LogCaptureFixture) -> None:
    keeper, called, over = Timekeeper(), [], threading.Event()
    keeper.after(0.05, over.set)
    keeper.after(0.03, lambda: called.append("second"))
    keeper.after(0.01, lambda: called.append("first"))
    keeper.after(0.0, lambda: 1 / 0)
    assert over.wait(5)
    assert called == ["first", "second"]
    assert "ZeroDivisionError" in caplog.text


def test_a_post_has_no_more_helpers_than_it_may_and_none_at_rest() -> None:
    post = Post("p", 2)
    running, most, lock, done = 0, 0, threading.Lock(), threading.Semaphore(0)

    def work() -> None:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        time.sleep(0.01)
        with lock:
            running -= 1
        done.release()

    for _ in range(8):
        post.put(work)
    for _ in range(8):
        assert done.acquire(timeout=5)
    assert most == 2
    post.stop()
    post.join(5)
    assert not post.is_alive()
    assert post.done()
    post.put(work)  # dropped
    assert not done.acquire(timeout=0.05)


def test_a_post_keeps_nothing_that_it_has_done() -> None:
    class Thing:
        def work(self) -> None: ...

    post, thing = Post("p", 1), Thing()
    gone = weakref.ref(thing)
    over = threading.Event()
    post.put(thing.work)
    post.put(over.set)
    assert over.wait(5)
    del thing
    gc.collect()
    assert gone() is None
    post.stop()
    post.join(5)


def test_waits_are_counted_as_prometheus_has_them() -> None:
    waits = Waits()
    waits.at_once = 3
    for seconds in (0.0005, 0.002, 0.002, 25.0, 100.0):
        waits.add(seconds)
    found = waits.measured()
    assert (found["waits_le_1ms"], found["waits_le_3ms"], found["waits_le_10000ms"]) == (4, 6, 6)
    assert (found["waits_le_30000ms"], found["waits"]) == (7, 8)


@pytest.fixture
def _no_service(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("PGSERVICE", "PGOPTIONS"):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.usefixtures("_no_service")
def test_what_the_user_says_goes_before_the_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    limits = SelfLimits(Limits())
    asked = limits.add("host=h options='-c idle_in_transaction_session_timeout=5'", {"autocommit": True})
    # Of two settings in one packet the last one holds.
    assert asked["options"].startswith("-c idle_in_transaction_session_timeout=3600000 ")
    assert asked["options"].endswith(" -c idle_in_transaction_session_timeout=5")
    assert (asked["autocommit"], asked["keepalives_idle"]) == (True, 60)
    assert limits.add("host=h keepalives_idle=7", {})["options"]
    assert "keepalives_idle" not in limits.add("host=h keepalives_idle=7", {})
    assert "keepalives_idle" not in limits.add("host=h keepalives=0", {})
    monkeypatch.setenv("PGOPTIONS", "-c work_mem=1MB")
    assert limits.add("", {})["options"].endswith(" -c work_mem=1MB")
    with pytest.raises(psycopg.ProgrammingError, match="connection string cannot be read") as raised:
        limits.add("this is no connection string", {"a": 1})
    assert not isinstance(raised.value.__context__, psycopg.Error)  # libpq's own words would quote it


@pytest.mark.usefixtures("_no_service")
def test_what_a_server_does_not_know_is_left_out() -> None:
    limits = SelfLimits(Limits.over(60.0))
    assert "idle_session_timeout=130000" in limits.add("", {})["options"]
    told, asked = 'FATAL:  unrecognized configuration parameter "idle_session_timeout"', limits.asked()
    assert limits.learn(told, asked)
    assert "idle_session_timeout" not in limits.add("", {})["options"]
    assert limits.learn(told, asked)  # another connect that was under way
    assert not limits.learn(told, limits.asked())
    assert not limits.learn("FATAL:  sorry, too many clients already", limits.asked())
    assert limits.learn("FATAL:  unsupported startup parameter: options", limits.asked())
    assert "options" not in limits.add("", {})
    assert not limits.learn("FATAL:  unsupported startup parameter: options", limits.asked())


def test_what_a_service_file_says_goes_before_them_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    limits = SelfLimits(Limits())
    monkeypatch.setenv("PGSERVICEFILE", str(tmp_path / "services"))
    assert limits.add("service=orders", {"a": 1}) == {"a": 1}  # nobody knows what it says
    (tmp_path / "services").write_text(
        "[other]\nkeepalives=1\n[orders]\n# host=no\nkeepalives_idle = 7\noptions=-c work_mem=1MB\n[x]\noptions=y\n"
    )
    asked = limits.add("service=orders", {})
    assert asked["options"].endswith(" -c work_mem=1MB")
    assert set(asked) == {"options"}
    monkeypatch.setenv("PGSERVICE", "other")
    assert "keepalives_idle" not in limits.add("", {})


def test_no_limits() -> None:
    none = Limits(idle_in_transaction=0, idle_session=0, check_interval=0, keepalive=0, user_timeout=0)
    assert SelfLimits(none).add("", {}) == {}


def test_the_last_attempt_comes_when_the_time_is_up() -> None:
    pool = pgusher.Pool("host=127.0.0.1 port=1", min_size=1, open=False, reconnect_timeout=0.05)
    pool._nconns = 1
    pool._tries.tries = 60  # so that it would wait a quarter of a second
    delay, gave_up, _ = pool._failed(psycopg.OperationalError("connection timeout expired"), growing=True)
    assert not gave_up
    assert delay is not None
    assert delay == pytest.approx(0.05, abs=0.01)


def test_what_was_never_counted_is_zero() -> None:
    pool = pgusher.Pool("host=127.0.0.1 port=1", open=False)
    for stats in (pool.get_stats(), pool.pop_stats()):
        assert {stats[name] for name in ("loans_reclaimed", "loans_forgotten", "connections_refused")} == {0}
