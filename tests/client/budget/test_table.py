"""The table: whatever is in the file, reading it gives bounded records."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from pgusher.client.budget import table
from pgusher.client.budget.shares import Asker
from pgusher.client.budget.table import Member, members

MEMBER = Member(4711, 40, 2, 7, 3, 5, 1_000_000_000)


def test_a_record_is_read_as_it_was_written_at_its_place() -> None:
    raw = bytes(table.HEADER) + bytes(table.SIZE) + MEMBER.pack() + bytes(table.SIZE)
    assert list(members(raw)) == [(1, MEMBER)]
    assert len(MEMBER.pack()) == table.SIZE


def test_what_was_wished_long_ago_or_by_another_clock_counts_no_more() -> None:
    assert MEMBER.asker(MEMBER.beat + 1) == Asker(7, 3, 5, 2)
    assert MEMBER.asker(MEMBER.beat - 1) == Asker(7, 3, 5, 2)
    assert MEMBER.asker(MEMBER.beat + table.FRESH) == Asker(7, 3, 0, 2)
    assert MEMBER.asker(MEMBER.beat - table.FRESH) == Asker(7, 3, 0, 2)


@given(st.binary(max_size=table.HEADER + 5 * table.SIZE))
def test_garbage_is_bounded(raw: bytes) -> None:
    for index, member in members(raw):
        assert 0 <= index < 5
        assert 0 < member.total <= table.MOST_SLOTS
        assert 0 <= member.held <= member.total
        assert 0 <= member.minimum <= member.total
        assert 0 <= member.asker(0).demand <= member.total + table.MOST_SLOTS
