"""Turns: states that last are kept apart, the others are one; and what is packed comes back."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from pgusher.record.states import (
    ACTIVE,
    HIDDEN,
    IDLE,
    IN_TRANSACTION,
    IN_USE,
    OTHER,
    UNSEEN,
    Turns,
    at,
    code,
    pack,
    unpack,
)


def turned(*looks: tuple[int, int]) -> list[tuple[int, int]]:
    turns = Turns()
    for second, state in looks:
        turns.look(second, state)
    return turns.rows


def test_each_state_of_the_server_has_a_code() -> None:
    assert [code(s) for s in ("idle", "active", None, "fastpath function call")] == [IDLE, ACTIVE, HIDDEN, OTHER]


def test_a_state_that_lasts_is_kept_apart() -> None:
    assert turned((0, IDLE), (40, ACTIVE), (60, IN_TRANSACTION), (90, IDLE)) == [
        (0, IDLE), (40, ACTIVE), (60, IN_TRANSACTION), (90, IDLE)
    ]  # fmt: skip


def test_states_that_change_fast_are_one() -> None:
    looks = [(second, (IDLE, ACTIVE)[second % 2]) for second in range(1, 500)]
    assert turned((0, IDLE), *looks) == [(0, IN_USE), (499, ACTIVE)]


def test_a_time_that_nobody_looked_at_stays_one() -> None:
    assert turned((0, IDLE), (100, UNSEEN), (101, IDLE)) == [(0, IDLE), (100, UNSEEN), (101, IDLE)]


def test_a_clock_that_goes_back_changes_nothing() -> None:
    assert turned((100, IDLE), (50, ACTIVE)) == [(100, IDLE)]


LOOKS = st.lists(st.tuples(st.integers(0, 60), st.integers(0, 7).filter(lambda s: s != IN_USE)), max_size=60)


@given(LOOKS, st.sets(st.integers(0, 60)))
def test_what_is_written_is_what_is_there(steps: list[tuple[int, int]], written: set[int]) -> None:
    """The store, which gets what has changed now and then, has the same turns as one who kept all in memory."""
    kept, told, second = Turns(), Turns(), 0
    store: list[tuple[int, int]] = []
    for number, (pause, state) in enumerate(steps):
        second += pause
        kept.look(second, state)
        told.look(second, state)
        if number in written:
            _write(told, store)
    _write(told, store)
    assert store == kept.rows


def _write(turns: Turns, store: list[tuple[int, int]]) -> None:
    for _ in range(turns.undone):
        store.pop()
    store += turns.rows[turns.settled :]
    turns.written()


@given(st.integers(0, 1 << 33), st.lists(st.tuples(st.integers(0, 1 << 32), st.integers(0, 7)), max_size=50))
def test_what_is_packed_comes_back(since: int, steps: list[tuple[int, int]]) -> None:
    turns, second = [], since
    for pause, state in steps:
        second += pause
        turns.append((second, state))
    assert list(unpack(since, pack(since, turns))) == turns


@given(st.binary(max_size=100))
def test_bytes_of_a_stranger_are_turns_or_nothing(raw: bytes) -> None:
    assert all(state in range(8) for _, state in unpack(0, raw))


def test_the_turn_at_a_moment() -> None:
    turns = [(10, IDLE), (20, ACTIVE)]
    assert [at(turns, second) for second in (9, 10, 19, 25)] == [None, (10, IDLE), (10, IDLE), (20, ACTIVE)]
