"""Tables, aligned and tabbed."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pgusher.surfaces.render import cells
from pgusher.surfaces.render.screen import Screen
from pgusher.surfaces.render.table import Column, table

COLUMNS = (
    Column("name", least=4),
    Column("n", right=True),
    Column("empty", optional=True),
    Column("note", least=5, drop=1),
)
ROWS = [("alpha", "1", "", "a long note"), ("be", "1000", "", "short")]


def lines(screen: Screen, columns: tuple[Column, ...] = COLUMNS, rows: Sequence[Sequence[str]] = ROWS) -> list[str]:
    return [screen.paint(line) for line in table(screen, columns, rows)]


def test_columns_are_aligned_and_empty_ones_left_out() -> None:
    assert lines(Screen()) == ["NAME      N  NOTE", "alpha     1  a long note", "be     1000  short"]


@pytest.mark.parametrize(
    ("width", "expected"),
    [
        (20, ["NAME      N  NOTE", "alpha     1  a long…", "be     1000  short"]),
        (17, ["NAME     N  NOTE", "alp…     1  a lo…", "be    1000  short"]),
        (15, ["NAME      N", "alpha     1", "be     1000"]),
        (10, ["NAME     N", "alp…     1", "be    1000"]),
        (5, ["NAME…", "alp……", "be  …"]),
    ],
)
def test_a_narrow_terminal_cuts_then_drops(width: int, expected: list[str]) -> None:
    assert lines(Screen(width=width)) == expected


def test_a_pipe_gets_everything_between_tabs() -> None:
    rows = [*ROWS, ("x" * 500, "", "", "a\tb\nc")]
    assert lines(Screen(width=None), rows=rows) == [
        "name\tn\tempty\tnote",
        "alpha\t1\t\ta long note",
        "be\t1000\t\tshort",
        "x" * 500 + "\t\t\ta b c",
    ]


def test_without_rows_the_heading_stands_alone() -> None:
    assert lines(Screen(), rows=[]) == ["NAME  N  NOTE"]
    assert lines(Screen(width=None), rows=[]) == ["name\tn\tempty\tnote"]


def test_wide_characters_keep_the_columns_in_line() -> None:
    shown = lines(Screen(width=40), rows=[("中文", "1", "", "x"), ("ab", "2", "", "y")])
    assert {cells.width(line.rpartition("  ")[0]) for line in shown[1:]} == {7}


@given(
    st.lists(st.tuples(*[st.text(max_size=30)] * 4), max_size=6),
    st.one_of(st.none(), st.integers(1, 100)),
)
def test_any_table_fits(rows: list[tuple[str, ...]], width: int | None) -> None:
    shown = lines(Screen(width=width), rows=rows)
    assert width is None or all(cells.width(line) <= width for line in shown)
    assert width is not None or all(line.count("\t") == 3 for line in shown)
    assert len(shown) == len(rows) + 1
