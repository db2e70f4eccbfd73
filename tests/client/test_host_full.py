"""What the processes of a host know together of a full server."""

from __future__ import annotations

import fcntl
import multiprocessing
import os
import random
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pgusher.client import host_full
from pgusher.client.budget import Budget
from pgusher.client.gate import Gate
from pgusher.client.host_full import HostGate, State
from pgusher.client.joined import JoinedGate

BOOT = b"thisboot"


def gates(place: Path, count: int, role: str = "app/orders") -> list[HostGate]:
    """As many as in so many processes: each has the file open for itself."""
    return [HostGate("db:5432", role, str(place)) for _ in range(count)]


def run(group: list[HostGate], free: list[bool], step: float = 0.01) -> list[tuple[float, bool]]:
    """Each asks whenever it may, for as many steps as `free` has answers of the server; what came when."""
    due = [0.0] * len(group)
    came = []
    chance = random.Random(3)
    for index, room in enumerate(free):
        now = 1000 + index * step
        for who in chance.sample(range(len(group)), len(group)):
            if now < due[who]:
                continue
            delay = group[who].may_connect(now)
            if delay == 0.0:
                came.append((now, room))
                (group[who].room if room else group[who].refused)(now + 0.004)
            due[who] = now + delay
    return came


def test_twenty_processes_are_refused_twice_a_second_together(place: Path) -> None:
    came = run(gates(place, 20), [False] * 800, 0.02)
    assert len(came) <= 2 * 16 + 1
    assert len(came) >= 2 * 16 - 4  # and they do ask


def test_all_are_back_within_half_a_second_of_room(place: Path) -> None:
    group = gates(place, 20)
    run(group, [False] * 500)
    group[0].refused(999.9)
    came = run(group, [True] * 100)
    assert came[0][0] <= 1000.5
    assert len(came) > 100  # nobody is held up any more


def test_room_for_one_is_not_asked_for_by_all_at_once(place: Path) -> None:
    group = gates(place, 20)
    group[0].refused(999.0)
    came = []
    for second in range(20):
        now = 1000.0 + second
        free = 1  # one session ends each second
        for tenth in range(10):
            for gate in group:
                if gate.may_connect(now + tenth / 10) == 0.0:
                    came.append(free > 0)
                    (gate.room if free > 0 else gate.refused)(now + tenth / 10)
                    free -= 1
    assert came.count(True) == 20
    assert came.count(False) <= 40


def test_a_role_that_is_full_for_itself_does_not_stop_the_others(place: Path) -> None:
    (limited,), (other,) = gates(place, 1, "batch/x"), gates(place, 1, "web/x")
    limited.refused(1000.0)
    assert limited.may_connect(1000.1) > 0
    assert [other.may_connect(1000.1) for _ in range(5)] == [0.0] * 5


def test_several_roles_of_a_full_server_share_the_two_attempts(place: Path) -> None:
    group = [HostGate("db:5432", role, str(place)) for role in ("a/x", "b/x", "c/x")]
    for gate in group:
        gate.refused(999.9)
    assert len(run(group, [False] * 1000)) <= 21
    run(group, [True] * 60)
    assert all(gate.may_connect(1000.6) == 0.0 for gate in group)  # one found room, the others were told


def test_a_session_that_ended_lets_somebody_ask_at_once(place: Path) -> None:
    clock = [1000.0]
    gate = HostGate("db:5432", "a", str(place), lambda: clock[0])
    gate.refused(1000.0)
    gate.closed()  # in the same moment: the place is taken by whoever was refused
    assert gate.may_connect(1000.01) > 0
    clock[0] = 1000.2
    gate.closed()
    assert gate.may_connect(1000.2) == 0.0
    assert gate.may_connect(1000.2) > 0


def test_a_process_that_was_served_and_ends_holds_up_nobody() -> None:
    """It takes the attempt that its success gave, and is gone before it is made: a script whose work is done."""
    state = State(BOOT)
    state.refused(0, 1000.0)
    assert state.claim(0, 1000.5) == 0.0
    state.room(0, 1000.51)
    assert state.claim(0, 1000.51) == 0.0  # nothing is ever told of this one, nor of those that follow
    assert state.claim(0, 1000.52) > 0
    assert state.claim(0, 1000.57) == 0.0
    assert state.claim(0, 1000.58) > 0
    assert state.claim(0, 1000.63) == 0.0
    state.refused(0, 1000.64)  # it was the last slot
    assert state.claim(0, 1001.1) > 0
    assert state.claim(0, 1001.14) == 0.0


def test_a_time_that_is_too_far_off_does_not_count() -> None:
    state = State(BOOT)
    state.refused(0, 1000.0)
    assert state.wait(0, 1000.0) > 0
    state.next_at = 1e6
    assert state.wait(0, 1000.0) == 0.0


def test_what_was_written_before_the_last_boot_does_not_count() -> None:
    state = State(b"lastboot")
    state.refused(3, 1000.0)
    assert State(b"lastboot", state.pack()).wait(3, 1000.0) > 0
    assert State(BOOT, state.pack()).wait(3, 1000.0) == 0.0
    assert len(host_full.boot()) == 8
    assert host_full.boot() == host_full.boot() != bytes(8)


@given(st.binary(max_size=400), st.integers(0, 15), st.floats(0, 1e6))
def test_whatever_is_in_the_file_nobody_waits_longer_than_half_a_second(raw: bytes, which: int, now: float) -> None:
    for contents in (raw, host_full._HEADER.pack(host_full._MAGIC, BOOT, 1 << 62, 0) + raw.ljust(256, b"\1")):
        state = State(BOOT, contents)
        assert 0.0 <= state.claim(which, now) <= 0.5
        state.room(which, now)
        state.refused(which, now)
        state.closed(which, now)
        assert len(state.pack()) == host_full._SIZE


def test_a_process_that_is_stopped_with_the_lock_is_not_waited_for(place: Path) -> None:
    (gate,) = gates(place, 1)
    gate.refused(1000.0)
    program = (
        "import fcntl, sys; file = open(sys.argv[1], 'r+b');"
        f"fcntl.lockf(file, fcntl.LOCK_EX, 1, {host_full._LOCK}); print('locked', flush=True); sys.stdin.read()"
    )
    (path,) = place.glob("*.full")
    words = [sys.executable, "-c", program, str(path)]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"locked\n"
        assert gate.may_connect(1001.0) == host_full.ASK_AGAIN
        assert gate.may_connect(1001.3) == host_full.ASK_AGAIN
        assert gate.may_connect(1001.6) == 0.0
        assert gate.may_connect(1001.7) > 0
        holder.kill()
    with open(path, "r+b") as file:
        fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, host_full._LOCK)  # gone with it


def test_a_file_that_was_removed_is_made_again(place: Path) -> None:
    one, other = gates(place, 2)
    one.refused(1000.0)
    (path,) = place.glob("*.full")
    path.unlink()
    one.refused(1000.1)
    other.refused(1000.1)
    assert path.exists()
    assert one.may_connect(1000.2) > 0
    assert gates(place, 1)[0].may_connect(1000.2) > 0


def _child(place: str) -> None:
    os._exit(0 if HostGate("db:5432", "app/orders", place).may_connect(1000.1) > 0 else 1)


def test_another_process_knows_it(place: Path) -> None:
    gates(place, 1)[0].refused(1000.0)
    child = multiprocessing.get_context("fork").Process(target=_child, args=(str(place),))
    child.start()
    child.join()
    assert child.exitcode == 0


def test_all_pools_of_a_process_share_one_and_without_a_place_there_is_none(place: Path) -> None:
    assert host_full.host_gate("a:1", "x", str(place)) is host_full.host_gate("a:1", "x", str(place)) is not None
    (place / "file").write_text("")
    assert host_full.host_gate("b:1", "x", str(place / "file")) is None


def test_joined_with_a_budget_no_slot_is_taken_while_the_server_is_full(place: Path) -> None:
    budget = Budget("joined", 2, directory=place)
    (host,) = gates(place, 1)
    gate: Gate = JoinedGate(host, budget.gate())
    assert [gate.may_connect(1000.0) for _ in range(2)] == [0.0, 0.0]
    assert gate.may_connect(1000.0) > 0
    gate.room(1000.0)
    gate.refused(1000.0)
    assert budget.held == 1
    assert gate.may_connect(1000.1) > 0
    assert budget.held == 1
    assert gate.may_connect(1000.6) == 0.0
    gate.failed(1000.6)
    gate.closed()
    assert budget.held == 0
    gate.tick(1000.7, 0, 0, 0)
    assert gate.pressed is False
    assert gate.give_back(1000.7, 0.0) is False
    gate.forked()


@pytest.fixture
def place(tmp_path: Path) -> Path:
    path = tmp_path / "shared"
    path.mkdir(mode=0o700)
    return path
