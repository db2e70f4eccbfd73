"""Columns of a terminal."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pgusher.surfaces.render import cells

printable = st.text(st.characters(exclude_categories=["Cc", "Cs", "Zl", "Zp"]), max_size=40)


@pytest.mark.parametrize(
    ("text", "columns"),
    [
        ("", 0),
        ("abc", 3),
        ("é", 1),
        ("e\u0301", 1),
        ("中文", 4),
        ("…", 1),
        ("│█▏", 3),
        ("👍", 2),
        ("a\u00adb", 2),
        ("ﾊ", 1),
    ],
)
def test_width_is_that_of_a_terminal(text: str, columns: int) -> None:
    assert cells.width(text) == columns


@pytest.mark.parametrize(
    ("text", "room", "cut"),
    [
        ("abc", 3, "abc"),
        ("abcd", 3, "ab…"),
        ("abcd", 1, "…"),
        ("abcd", 0, ""),
        ("中文字", 5, "中文…"),
        ("中文字", 4, "中… "),
        ("e\u0301e\u0301e\u0301", 2, "e\u0301…"),
    ],
)
def test_what_is_too_wide_ends_with_the_mark(text: str, room: int, cut: str) -> None:
    assert cells.cut(text, room, "…") == cut


@given(printable, st.integers(0, 50))
def test_a_cut_text_fits_and_begins_as_before(text: str, room: int) -> None:
    cut = cells.cut(text, room, "~")
    assert cells.width(cut) <= room
    assert cut == text or text.startswith(cut.rstrip(" ").removesuffix("~"))
    if cut != text:
        assert cells.width(cut) == room


@given(printable, st.integers(0, 50), st.booleans())
def test_a_padded_text_takes_its_room(text: str, room: int, right: bool) -> None:
    padded = cells.pad(text, room, right=right)
    assert cells.width(padded) == max(room, cells.width(text))
    assert text in padded
