"""A budget over real processes, each driven by a clock of the test."""

from __future__ import annotations

import os
import random
import shutil
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from pgusher.client.budget import Budget, table
from tests.client.budget.conftest import Actor

Start = Callable[..., Actor]


def clock() -> float:
    """Now: only its beginning, all that follows is added to it."""
    return time.monotonic()


def test_the_total_is_never_exceeded(actor: Start) -> None:
    now = clock()
    one, other = actor(5), actor(5)
    assert one.fill(now, 3) == 3
    assert other.fill(now, 9) == 2
    assert one.say("take", now) > 0


def test_a_killed_process_leaves_its_slots_free_at_once(actor: Start) -> None:
    now = clock()
    one, other = actor(5), actor(5)
    assert one.fill(now, 5) == 5
    one.kill()
    assert other.fill(now + 1, 9) == 5


def test_kills_at_random_moments_lose_no_slot(actor: Start) -> None:
    chance, now = random.Random(5), clock()
    held: list[Actor] = []
    for _ in range(25):
        now += 0.3
        one = actor(6)
        one.fill(now, chance.randint(1, 6))
        held.append(one)
        if len(held) > 3:
            held.pop(chance.randrange(len(held))).kill()
    for one in held:
        one.kill()
    assert actor(6).fill(now + 2, 9) == 6


def test_a_child_of_a_fork_has_nothing_of_its_parent_and_takes_nothing_from_it(actor: Start) -> None:
    now = clock()
    one = actor(5)
    assert one.fill(now, 3) == 3
    assert one.say("fork", now) == [2, 2]
    assert one.say("held") == 3
    # The child has closed its copy of the file and ended: had that dropped the parent's locks, there were five free.
    assert actor(5).fill(now, 9) == 2


def test_who_has_more_than_his_share_gives_back_when_others_wait_but_not_too_young_a_session(actor: Start) -> None:
    now = clock()
    rich, poor = actor(8), actor(8)
    assert rich.fill(now, 20) == 8
    assert poor.fill(now, 20) == 0
    assert rich.say("tick", now, 8, 0, 12) is True
    assert rich.say("give", now, now - 0.05) is False  # younger than a tenth of a second
    given = 0
    while rich.say("give", now + 0.2, now):
        given += 1
        rich.say("closed")
    assert given == 4
    assert poor.fill(now + 0.2, 20) == 4
    assert rich.say("tick", now + 0.2, 4, 0, 16) is False


def test_an_even_change_waits_for_the_minimum_time(actor: Start) -> None:
    now = float(int(clock()) + 1)
    one, other = actor(3), actor(3)
    assert one.fill(now, 9) == 3
    other.say("tick", now, 0, 0, 9)
    one.say("tick", now, 3, 0, 6)
    # The one slot below the half is urgent; the odd one goes round and only when a session has lived for a second.
    assert one.say("give", now + 0.2, now) is True
    one.say("closed")
    assert other.say("take", now + 0.2) == 0.0
    assert one.say("held") + other.say("held") == 3
    moved = []
    for second in range(1, 5):
        when = now + second + 0.5
        other.say("tick", when, other.say("held"), 0, 8)
        one.say("tick", when, one.say("held"), 0, 8)
        other.say("tick", when, other.say("held"), 0, 8)
        for giver, taker in ((one, other), (other, one)):
            assert giver.say("give", when, when - 0.9) is False
            if giver.say("give", when, when - 1.1):
                giver.say("closed")
                assert taker.say("take", when) == 0.0
                moved.append(second)
                break
    assert moved in ([1, 2, 3, 4], [2, 3, 4])


def test_idle_sessions_are_given_and_kept_ones_are_not_asked_for(actor: Start) -> None:
    now = clock()
    idle, busy = actor(4), actor(4)
    assert idle.fill(now, 4) == 4
    assert idle.say("tick", now, 4, 4, 0) is False  # nobody waits: idle ones stay
    assert busy.fill(now, 4) == 0
    assert idle.say("tick", now, 4, 4, 0) is True
    for _ in range(4):
        assert idle.say("give", now + 2, now) is True
        idle.say("closed")
    assert busy.fill(now + 2, 4) == 4


def test_a_minimum_is_had_though_others_hold_all(actor: Start) -> None:
    now = clock()
    others = [actor(4) for _ in range(4)]
    for one in others:
        assert one.fill(now, 1) == 1
    for one in others:
        one.say("tick", now, 1, 0, 5)
    late = actor(4, 2)
    assert late.fill(now, 9) == 0
    given = 0
    for one in others:
        one.say("tick", now, 1, 0, 5)
        if one.say("give", now + 0.2, now):
            one.say("closed")
            given += 1
            assert late.say("take", now + 0.2) == 0.0
            late.say("tick", now + 0.2, given, 0, 9)
    assert given == 2


def test_a_wish_that_is_not_repeated_holds_nobody_up(actor: Start) -> None:
    now = clock()
    stopped, other = actor(4), actor(4)
    stopped.say("tick", now, 0, 0, 9)
    stopped.process.send_signal(signal.SIGSTOP)
    try:
        assert other.fill(now, 4) == 2  # two are the other's
        assert other.say("take", now + 0.01) > 0
        assert other.say("take", now + 0.2) == 0.0  # which left them for a tenth of a second
        assert other.fill(now + 2, 1) == 1
    finally:
        stopped.process.send_signal(signal.SIGCONT)


def test_the_tighter_of_two_totals_counts(actor: Start) -> None:
    now = clock()
    new, old = actor(3), actor(8)
    new.say("tick", now, 0, 0, 0)
    assert old.fill(now, 9) == 3


@pytest.mark.parametrize("whole", [False, True])
def test_a_file_that_was_removed_is_made_again_and_what_is_held_stays_held(
    actor: Start, place: Path, whole: bool
) -> None:
    now = clock()
    one = actor(5)
    assert one.fill(now, 3) == 3
    if whole:
        shutil.rmtree(place)
    else:
        (place / "web.budget").unlink()
    one.say("tick", now + 0.5, 3, 0, 0)
    assert one.say("held") == 3
    assert actor(5).fill(now + 0.5, 9) == 2


def test_a_directory_that_cannot_be_made_again_ends_nobody(actor: Start, tmp_path: Path) -> None:
    now = clock()
    place = tmp_path / "gone"
    place.mkdir(mode=0o700)
    one, other = actor(5, 0, place), actor(5, 0, place)
    assert one.fill(now, 3) == 3
    shutil.rmtree(place)
    place.write_text("in the way")
    assert other.fill(now, 9) == 2
    one.say("closed")
    assert other.say("take", now + 0.2) == 0.0


def test_a_table_of_garbage_changes_no_total(actor: Start, place: Path) -> None:
    now = clock()
    one, other = actor(5), actor(5)
    assert one.fill(now, 2) == 2
    chance = random.Random(7)
    with open(place / "web.budget", "r+b") as file:
        for _ in range(20):
            file.seek(table.HEADER)
            file.write(chance.randbytes(16 * table.SIZE))
            file.flush()
            now += 0.2
            other.say("take", now)
            assert 2 + other.say("held") <= 5
    os.truncate(place / "web.budget", 0)
    assert isinstance(other.say("take", now), float)


def test_a_file_grows_with_its_processes(actor: Start) -> None:
    now = clock()
    first = actor(18)
    assert first.fill(now, 18) == 18
    crowd = [actor(18) for _ in range(17)]  # a file begins with sixteen records
    for one in crowd:
        one.say("tick", now, 0, 0, 1)
    first.say("tick", now, 18, 0, 18)
    given = 0
    while first.say("give", now + 2, now):
        first.say("closed")
        given += 1
    assert given == 17
    assert sum(one.fill(now + 0.2, 1) for one in crowd) == 17


def test_a_process_for_which_there_is_no_record_takes_free_slots(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(table, "MEMBERS", 0)
    gate = Budget("crowded", 3, directory=place).gate()
    now = clock()
    assert [gate.may_connect(now) == 0.0 for _ in range(5)] == [True, True, True, False, False]
