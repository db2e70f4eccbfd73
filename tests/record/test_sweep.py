"""The figures of minutes and hours are those that somebody counts who looks at each moment."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from pgusher.record.hours import pack, unpack
from pgusher.record.sweep import ALL, seen, sweep

LIVES = st.lists(st.tuples(st.integers(1, 3), st.integers(0, 50), st.integers(1, 30), st.booleans()), max_size=12).map(
    lambda rows: [(h, since, None if lasts else since + length) for h, since, length, lasts in rows]
)
SPANS = st.lists(st.tuples(st.integers(0, 15), st.integers(1, 15)), max_size=4)


@given(LIVES, SPANS)
def test_it_counts_as_one_who_looks_at_each_moment(
    lives: list[tuple[int, int, int | None]], gaps: list[tuple[int, int]]
) -> None:
    spans, at = [], 0
    for gap, length in gaps:
        spans.append((at + gap + 1, at + gap + 1 + length))
        at += gap + 1 + length
    begin, step, size = 10, 10, 3
    found = sweep(lives, spans, begin, step, size)
    looked = [[t for t in range(begin + step * i, begin + step * (i + 1)) if any(a <= t < b for a, b in spans)]
              for i in range(size)]  # fmt: skip
    assert seen(spans, begin, step, size) == [len(each) for each in looked]
    for holder, buckets in found.items():
        for index, moments in enumerate(looked):
            counts = [
                sum(h in (holder, h if holder == ALL else holder) and since <= t and (until is None or t < until)
                    for h, since, until in lives)
                for t in moments
            ]  # fmt: skip
            assert buckets.most[index] == max(counts, default=None)
            assert buckets.least[index] == min(counts, default=None)
            assert buckets.slot_ms[index] == sum(counts)
            if counts:
                assert buckets.most_at[index] == moments[counts.index(max(counts))]


def test_who_was_there_at_the_first_look_was_not_opened_then() -> None:
    found = sweep([(1, 20, 30), (1, 25, None)], [(20, 60)], 0, 10, 6)
    assert (found[1].opened, found[1].ended) == (1, 1)


def test_minutes_come_back_from_their_bytes() -> None:
    found = sweep([(1, 5, 25)], [(0, 20)], 0, 10, 3)
    minutes = unpack(pack(found[1], seen([(0, 20)], 0, 10, 3)))
    assert [tuple(minute) for minute in minutes] == [(0, 1, 0.5), (1, 1, 1.0), (None, None, None)]


@given(st.one_of(st.none(), st.binary(max_size=80)))
def test_bytes_of_a_stranger_are_no_minutes(raw: bytes | None) -> None:
    assert unpack(raw) == ()
