"""Each macro becomes what Grafana's own tests say it becomes, with holes for moments and steps."""

from __future__ import annotations

import pytest

from pgusher.attribute.panels.holes import DATA, DURATION, NUMBER, TIME, WILD
from pgusher.attribute.panels.index import PanelIndex
from pgusher.attribute.panels.macros import Dialect, expanded
from pgusher.attribute.panels.variables import with_holes
from pgusher.model.panels import Fit, Panel

N, T = NUMBER, f"'{TIME}'"


@pytest.mark.parametrize(
    ("sql", "sent"),
    [
        ("select $__time(time_column)", 'select time_column AS "time"'),
        ("$__timeEpoch(c)", 'extract(epoch from c) as "time"'),
        ("WHERE $__timeFilter(time_column)", f"WHERE time_column BETWEEN {T} AND {T}"),
        ("select $__timeFrom(), $__timeTo()", f"select {T}, {T}"),
        ("$__timeGroup(time_column , '5m')", "floor(extract(epoch from time_column)/300)*300"),
        ("SELECT $__timeGroup(c,'5m'), v", 'SELECT floor(extract(epoch from c)/300)*300 AS "time", v'),
        ("SELECT $__timeGroup(c,'5m') as time, v", "SELECT floor(extract(epoch from c)/300)*300 as time, v"),
        ("$__timeGroupAlias(c,'1h',0)", 'floor(extract(epoch from c)/3600)*3600 AS "time"'),
        ("$__timeGroup(c,'20ms')", "floor(extract(epoch from c)/0.02)*0.02"),
        ("$__timeGroup(c,'12d')", "floor(extract(epoch from c)/1036800)*1036800"),
        ("$__timeGroup(c,'1M')", f"floor(extract(epoch from c)/{N})*{N}"),
        (f"$__timeGroup(c,{DATA})", f"floor(extract(epoch from c)/{N})*{N}"),
        ("select $__unixEpochFilter(time)", f"select time >= {N} AND time <= {N}"),
        ("$__unixEpochNanoFilter(t) $__unixEpochNanoTo()", f"t >= {N} AND t <= {N} {N}"),
        ("$__unixEpochGroup(a+b,'5m')", "floor((a+b)/300)*300"),
        ("$__unixEpochGroupAlias(a+b,'5m')", 'floor((a+b)/300)*300 AS "time"'),
        ("$__unixEpochFrom()", N),
        ("$__timeFilter(to_timestamp(x))", f"to_timestamp(x BETWEEN {T} AND {T})"),
        ("$__unknown(x) $1(x)", "$__unknown(x) $1(x)"),
        ("$__timeGroup(x)", "$__timeGroup(x)"),
    ],
)
def test_what_a_macro_becomes(sql: str, sent: str) -> None:
    assert expanded(sql) == sent


def test_a_timescale_source_groups_by_time_bucket() -> None:
    assert expanded("$__timeGroup(c , '20ms')", Dialect.TIMESCALE) == "time_bucket('0.020s',c)"
    assert expanded("$__timeGroup(c , '5m')", Dialect.FIRST_TIMESCALE) == "time_bucket('300s',c)"
    assert expanded(f"$__timeGroupAlias(c,{DURATION})", Dialect.TIMESCALE) == f"time_bucket('{N}s',c) AS \"time\""


def test_what_the_documentation_says_that_it_becomes() -> None:
    assert expanded("$__timeGroup(c,'5m')", Dialect.DOCUMENTED) == "(extract(epoch from c)/300)::bigint*300"
    assert expanded("$__timeFilter(c)", Dialect.DOCUMENTED) == expanded("$__timeFilter(c)")


@pytest.mark.parametrize(
    ("sql", "sent"),
    [
        ("$__timeFilter(to_timestamp(c))", f"to_timestamp(c) BETWEEN {T} AND {T}"),
        ("$__timeGroup(coalesce(a, f(b)), '5m')", "floor(extract(epoch from coalesce(a, f(b)))/300)*300"),
        ("$__time(f(g(c, 1), 2)) $__timeFrom() (x)", f'f(g(c, 1), 2) AS "time" {T} (x)'),
        ("$__timeFilter(f(c)", "$__timeFilter(f(c)"),
    ],
)
def test_arguments_that_are_read_to_their_end(sql: str, sent: str) -> None:
    assert expanded(sql, whole=True) == sent


def test_a_function_in_an_argument_is_found_in_both_ways() -> None:
    sql = "SELECT a, b FROM t WHERE $__timeFilter(to_timestamp(c))"
    index = PanelIndex([Panel(sql, uid="a"), Panel("SELECT a, b FROM t", uid="b")])
    first, last = "'2026-01-01T00:00:00Z'", "'2026-01-02T00:00:00Z'"
    for sent in (f"to_timestamp(c BETWEEN {first} AND {last})", f"to_timestamp(c) BETWEEN {first} AND {last}"):
        match = index.match(f"SELECT a, b FROM t WHERE {sent}")
        assert (match.fit, [one.uid for one in match.panels]) == (Fit.EXACT, ["a"])


def test_what_it_became_before_5_3() -> None:
    assert expanded("$__timeFilter(c)", Dialect.BEFORE_5_3) == f"extract(epoch from c) BETWEEN {N} AND {N}"
    assert expanded("$__timeFrom()", Dialect.BEFORE_5_3) == f"to_timestamp({N})"
    assert expanded("$__timeGroup(c,'1m')", Dialect.BEFORE_5_3) == "(extract(epoch from c)/60)::bigint*60 AS time"


@pytest.mark.parametrize(
    ("sql", "marked"),
    [
        ("$a ${b} ${c:csv} [[d]] [[e:pipe]] ${f.text}", " ".join([DATA] * 6)),
        ("$__interval $__interval_ms ${__from} ${__from:date:iso}", f"{DURATION} {N} {N} {DATA}"),
        ("${__user.login}", DATA),
        ("tbl_$a.x '$a-b'", f"tbl_{DATA}.x '{DATA}-b'"),
        ("$__timeFilter(x) $__timeFilter", f"$__timeFilter(x) {DATA}"),
        ("$1 $$ a $b $$ $t$ a $t$", f"$1 $$ a {DATA} $$ $t$ a $t$"),
        ("$wild $tame", f"{WILD} {DATA}"),
        ("a[[1]]", f"a{DATA}"),
    ],
)
def test_variables_become_holes(sql: str, marked: str) -> None:
    assert with_holes(sql, {"wild"}) == marked
