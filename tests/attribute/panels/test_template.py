"""A text fits a panel whole, or cut anywhere; another panel's does not."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pgusher.attribute.panels.encode import encode
from pgusher.attribute.panels.template import early_words, marked, template
from tests.bed.grafana_sender import Sender, shown

SQL = """SELECT $__timeGroupAlias("time",$__interval), avg(v) AS "$column" -- a comment
FROM metrics_$env.t /* 'x' */ JOIN ${schema}.u USING (id)
WHERE $__timeFilter("time") AND host IN ($host) AND label = 'a-$label-é' AND kind = ANY('{${ids:csv}}')
GROUP BY 1 ORDER BY 1"""


@pytest.mark.parametrize("seed", range(30))
def test_what_is_sent_for_a_panel_fits_it(seed: int) -> None:
    sent = Sender(seed, strips=seed % 2 == 1).send(SQL)
    assert template(SQL).fits(encode(sent), cut=False) is not None


@pytest.mark.parametrize("limit", range(20, 500, 7))
def test_it_fits_cut_anywhere(limit: int) -> None:
    sent = Sender(limit).send(SQL)
    assert template(SQL).fits(encode(shown(sent, limit), cut=True), cut=True) is not None


@pytest.mark.parametrize(
    "other",
    [
        "SELECT 1",
        "SELECT avg(v) FROM t WHERE x = 1 AND y = 'z'",
        "SELECT sum(v) FROM t WHERE x = 1",
        "SELECT avg(v) FROM t WHERE x = 1 LIMIT 1",
        "SELECT avg(v) FROM tt WHERE x = 1",
        "SELECT avg(v) FROM t WHERE x = (SELECT 1 FROM y)",
        "EXPLAIN SELECT avg(v) FROM t WHERE x = 1",
    ],
)
def test_another_statement_does_not_fit(other: str) -> None:
    mine = template("SELECT avg(v) FROM t WHERE x = $x")
    assert mine.fits(encode("select avg(v) from t where x = 'abc'"), cut=False) is not None
    if other.endswith("'z'"):
        assert mine.fits(encode(other), cut=False) is not None, "a variable may hold a condition: it is a candidate"
    else:
        assert mine.fits(encode(other), cut=False) is None
        assert mine.fits(encode(f"{other} and more"), cut=True) is None


def test_a_variable_that_holds_sql_may_be_a_subquery() -> None:
    mine = template("SELECT avg(v) FROM t WHERE x = $x", ("x",))
    assert mine.fits(encode("SELECT avg(v) FROM t WHERE x = (SELECT 1 FROM y)"), cut=False) is not None


def test_a_cut_text_that_went_another_way_does_not_fit() -> None:
    mine = template("SELECT avg(v) FROM t WHERE x = 'long'")
    assert mine.fits(encode("SELECT avg(v) FROM t WHERE x = 'lo", cut=True), cut=True) is not None
    assert mine.fits(encode("SELECT avg(v) FROM t WHERE x = 'la", cut=True), cut=True) is None
    assert mine.fits(encode("SELECT avg(v) FROM t WHERE x = 'long' and y = 2", cut=True), cut=True) is None


def test_early_words_are_those_that_no_value_can_push_behind_the_cut() -> None:
    sql = marked("SELECT alpha, $__interval FROM beta WHERE x = $x AND gamma")
    assert early_words(template("SELECT alpha, $__interval FROM beta WHERE x = $x AND gamma"), sql, 1024) == {
        "alpha",
        "beta",
        "x",
    }
    assert early_words(template("SELECT alpha"), "SELECT alpha", 1024) is None
    assert early_words(template("SELECT alpha, beta"), "SELECT alpha, beta", 20) == {"alpha"}


@given(
    st.text(alphabet="select$a{}[]:'\"() ,;.\ue000\ue003x1", max_size=40),
    st.text(alphabet="select'\"() ,;.x1\ue000\x01", max_size=40),
    st.booleans(),
)
def test_no_panel_and_no_query_raises(sql: str, query: str, cut: bool) -> None:
    known = template(sql).fits(encode(query, cut=cut), cut)
    assert known is None or known.known >= 0


def test_many_holes_take_no_longer_than_the_text_is() -> None:
    mine = template("SELECT " + ", ".join(f"$v{number}" for number in range(2000)) + " FROM t")
    assert mine.fits(encode("SELECT " + "a, " * 20_000), cut=False) is None
