"""Two ways of writing the same SQL are one text; two different statements never are."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pgusher.attribute.panels.encode import encode, words
from pgusher.attribute.panels.holes import DATA


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("SELECT a FROM t", "select  A\n\tfrom T"),
        ("select a -- why\nfrom t", "select a from t"),
        ("select /* a /* nested */ comment */ a from t;", "select a from t"),
        ("select a from t ; ;", "select a from t"),
        ("select a>=1", "select a >= 1"),
        ("select '-- no comment' /**/", "select '-- no comment'"),
        ("select E'it\\'s -- no comment' from t", "select e'it\\'s -- no comment'\nfrom t"),
        ("select $x$ -- no comment $x$ from t", "select $x$ -- no comment $x$\n\nfrom t"),
        ('select "A -- b" from t', 'select  "A -- b"  from  t'),
    ],
)
def test_two_ways_of_writing_one_statement(one: str, other: str) -> None:
    assert encode(one) == encode(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("select 'A'", "select 'a'"),
        ('select "A"', "select a"),
        ("select ab", "select a b"),
        ("select 'a  b'", "select 'a b'"),
        ("select 'a''b'", "select 'ab'"),
        ("select 12", "select 1 2"),
        ("select from_date", "select from date"),
        ("select a;select b", "select a select b"),
        ("select 'a' 'b'", "select 'a''b'"),
    ],
)
def test_different_statements_stay_different(one: str, other: str) -> None:
    assert encode(one) != encode(other)


SQL = "SELECT a -- x\n, 'it''s /* é', E'\\'', \"n\", $t$ y $t$ /* c */ FROM w_1 WHERE q = 1.5 AND ü < 2 - 1"


@pytest.mark.parametrize("at", range(len(SQL)))
def test_the_beginning_of_a_text_is_the_beginning_of_what_is_made_of_it(at: int) -> None:
    assert encode(SQL).startswith(encode(SQL[:at], cut=True))


def test_the_words_are_whole_and_without_those_of_the_frame() -> None:
    assert words(encode(f"select Abc, 'no', tbl_{DATA} from x where y = 1")) == {"abc", "x", "y", "1"}


@given(st.text(alphabet="select frm'\"$-/*\\;eE()1_\n\x00\x01\ue000", max_size=60), st.booleans())
def test_nothing_that_anybody_types_raises(sql: str, cut: bool) -> None:
    assert "\x00" not in encode(sql, cut=cut)


def test_a_long_text_takes_time_by_its_length_alone() -> None:
    assert encode("'" * 100_001, cut=True)
    assert encode("/*" * 50_000) == ""
    assert encode("$a$" * 33_333)
    assert encode('"' * 99_999 + "-" * 10_000)
