"""The gate through which every text leaves."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pgusher.surfaces.render import cells
from pgusher.surfaces.render.screen import SIGNS, TAB, Screen, flow

SGR = re.compile(r"\x1b\[[0-9;]*m")
STYLES = ("", "alarm", "warn", "good", "bold", "dim", "head", "name", "command", "proven", "hue0", "hue7+", "hue25")

spans = st.lists(st.tuples(st.text(max_size=30), st.sampled_from(STYLES)), max_size=6)
screens = st.builds(
    lambda width, colour, signs: Screen(width=width, colour=colour, unicode=signs[0], encoding=signs[1]),
    st.one_of(st.none(), st.integers(1, 120)),
    st.booleans(),
    st.sampled_from([(True, "utf-8"), (False, "utf-8"), (False, "ascii"), (False, "latin-1")]),
)


@given(spans, screens)
def test_nothing_leaves_but_printable_text_that_fits(line: list[tuple[str, str]], screen: Screen) -> None:
    painted = screen.paint(line)
    bare = SGR.sub("", painted)
    assert not re.search("[\x00-\x1f\x7f-\x9f\u061c\u202a-\u202e\u2066-\u2069\u200b-\u200f\ud800-\udfff]", bare)
    assert screen.colour or bare == painted
    assert screen.width is None or cells.width(bare) <= screen.width
    bare.encode(screen.encoding)  # raises when it cannot be written


@given(st.text(max_size=60), screens)
def test_a_text_is_made_harmless_once(raw: str, screen: Screen) -> None:
    once = screen.text(raw)
    assert screen.text(once) == once


def test_a_tab_is_written_by_its_own_span_only() -> None:
    assert Screen(width=None).paint([("a\tb", ""), TAB, ("c", "")]) == "a b\tc"


def test_colour_goes_around_text_and_ends_with_it() -> None:
    screen = Screen(colour=True)
    assert screen.paint([("FULL", "alarm"), (" ", "bold"), ("x", "")]) == "\x1b[1;7;31mFULL\x1b[0m x"
    assert screen.paint([("x", "hue0"), ("X", "hue8+")]) == "\x1b[36mx\x1b[0m\x1b[1;36mX\x1b[0m"


def test_what_is_cut_says_so() -> None:
    assert Screen(width=6).paint([("abc", ""), ("defgh", "")]) == "abcde…"
    assert Screen(width=6, unicode=False).paint([("abc", ""), ("defgh", "")]) == "abcde~"
    assert Screen(width=3).paint([("abc", ""), ("def", "")]) == "abc"


def test_an_empty_last_column_stays_a_column_in_a_pipe() -> None:
    assert Screen(width=None).paint([("a", ""), TAB, ("", "")]) == "a\t"
    assert Screen().paint([("a", ""), ("   ", "")]) == "a"


@pytest.mark.parametrize(
    ("encoding", "shown"), [("ascii", "caf\\xe9 \\u4e2d"), ("latin-1", "café \\u4e2d"), ("utf-8", "café 中")]
)
def test_what_the_encoding_lacks_becomes_an_escape(encoding: str, shown: str) -> None:
    assert Screen(encoding=encoding).text("café 中") == shown


def test_every_sign_takes_one_column_and_has_an_ascii_form() -> None:
    assert all(cells.width(sign) == 1 for sign in SIGNS)
    for name in ("cut", "dot", "bar", "more"):
        assert Screen(unicode=False).sign(name).isascii()


def test_parts_flow_over_lines_and_only_one_wider_than_a_line_is_broken() -> None:
    screen = Screen(width=12)
    assert [screen.paint(line) for line in flow(screen, ["one", "two", "three", "fourteen letters"])] == [
        "one · two",
        "three",
        "fourteen",
        "letters",
    ]
    assert [Screen(width=None).paint(line) for line in flow(Screen(width=None), ["one", "two"] * 30)] == [
        " · ".join(["one", "two"] * 30)
    ]
    assert flow(screen, []) == []


def test_a_plain_page_is_not_cut_as_nobody_would_hear_it() -> None:
    lines = [[("finding: ", "head"), ("  three runs hang, the oldest for 23 days", "")], [("pgusher why", "command")]]
    page = Screen(width=24, plain=True).page(lines)
    assert " ".join(page.split()) == "finding: three runs hang, the oldest for 23 days pgusher why"
    assert max(map(len, page.splitlines())) <= 24
    commented = Screen(width=24, plain=True).page([[("pgusher why", "command"), ("  # and a comment too long", "dim")]])
    assert commented.count("\n") == 1, "its second line would be a command when it is pasted"
