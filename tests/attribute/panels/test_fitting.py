"""What a template's holes would hold decides how sure an answer is."""

from __future__ import annotations

import pytest

from pgusher.attribute.panels.encode import encode
from pgusher.attribute.panels.holes import plain
from pgusher.attribute.panels.index import PanelIndex
from pgusher.attribute.panels.template import template
from pgusher.model.panels import Fit, Match, Panel

HEAD = "SELECT sum(amount) AS total FROM shop.orders WHERE "


def held(sql: str, query: str, cut: bool = False) -> tuple[bool, bool]:
    """Whether it fits, and whether a variable would hold more than values."""
    fitted = template(sql).fits(encode(query, cut=cut), cut)
    return fitted is not None, fitted is not None and fitted.odd


@pytest.mark.parametrize(
    "values", ["1", "'a','b'", "'O(1)','x=y','and'", "EU-West", "2026-01-01", "main/feature", "it''s", "a, 'b c'", ""]
)
def test_values_are_plain(values: str) -> None:
    assert plain(encode(values))


@pytest.mark.parametrize("values", ["1 and y = 2", "max(x)", "a or b", "(1", "x desc", "a || b", "1) or (2"])
def test_a_condition_or_a_call_is_not(values: str) -> None:
    assert not plain(encode(values))


def test_a_later_place_is_tried_where_the_first_does_not_fit() -> None:
    sql = "SELECT a FROM t WHERE x IN ($x) AND n = $__interval_ms AND $__timeFilter(ts)"
    query = (
        "SELECT a FROM t WHERE x IN ('b') and n = x) AND n = 5000 AND ts "
        "BETWEEN '2026-01-01T00:00:00Z' AND '2026-01-02T00:00:00Z'"
    )
    assert held(sql, query) == (True, True)
    assert held("SELECT $a,$__interval_ms FROM t", "SELECT x,y,500 FROM t") == (True, False)
    assert held("SELECT $a,$__interval_ms FROM t", "SELECT x,y,500 FR", cut=True) == (True, False)
    assert held("SELECT $a,$__interval_ms FROM t", "SELECT x,y,z FROM t") == (False, False)


def answer(panels: list[Panel], query: str, limit: int = 1024) -> tuple[Fit, str]:
    match: Match = PanelIndex(panels, limit=limit).match(query)
    return match.fit, "".join(one.uid for one in match.panels)


def test_many_values_do_not_make_a_panel_doubtful() -> None:
    many = ",".join(f"'customer-{number}'" for number in range(40))
    assert answer([Panel(HEAD + "customer IN ($c)", uid="a")], HEAD + f"customer IN ({many})") == (Fit.EXACT, "a")


def test_a_statement_of_few_words_with_a_table_is_somebodys() -> None:
    assert answer([Panel("SELECT count(*) FROM drives", uid="a")], "select count(*) from drives") == (Fit.EXACT, "a")
    assert answer([Panel("SELECT now()", uid="a")], "SELECT now()") == (Fit.CANDIDATES, "a")


def test_what_goes_on_behind_a_variable_is_no_value_of_it() -> None:
    """Somebody added a condition in Explore: the panel is a candidate, and not the one."""
    panel = Panel(HEAD + "car_id = $car", uid="a")
    assert answer([panel], HEAD + "car_id = 7") == (Fit.EXACT, "a")
    assert answer([panel], HEAD + "car_id = 7 AND end_date is null") == (Fit.CANDIDATES, "a")
    both = [panel, Panel(HEAD + "car_id = $car AND end_date is null", uid="b")]
    assert answer(both, HEAD + "car_id = 7 AND end_date is null") == (Fit.CANDIDATES, "ba"), "the likelier one first"
    assert answer(both, HEAD + "car_id = 7") == (Fit.EXACT, "a")


def test_a_variable_that_is_typed_or_known_to_hold_an_expression_may() -> None:
    panel = Panel("SELECT $what FROM shop.orders WHERE paid IS NOT NULL", uid="a", loose=("what",))
    assert answer([panel], "SELECT max(amount) FROM shop.orders WHERE paid IS NOT NULL") == (Fit.EXACT, "a")
    closed = Panel(panel.sql, uid="a")
    assert answer([closed], "SELECT max(amount) FROM shop.orders WHERE paid IS NOT NULL") == (Fit.CANDIDATES, "a")


def test_a_literal_and_a_variable_with_its_value_cannot_be_told_apart() -> None:
    panels = [Panel(HEAD + "site = '$site'", uid="a"), Panel(HEAD + "site = 'north'", uid="b")]
    assert answer(panels, HEAD + "site = 'north'") == (Fit.CANDIDATES, "ba")
    assert answer(panels, HEAD + "site = 'south'") == (Fit.EXACT, "a")


def test_copies_with_one_literal_changed_behind_the_cut() -> None:
    long = "SELECT " + ", ".join(f"sum(column_{number})" for number in range(70)) + " FROM t WHERE x = "
    panels = [Panel(long + value, uid=uid) for value, uid in (("1", "a"), ("2", "b"), ("$v", "c"))]
    assert len(long) > 1024
    assert answer(panels, (long + "2")[:1023])[0] is Fit.CANDIDATES
    assert answer(panels, long + "2", limit=4096) == (Fit.CANDIDATES, "bc")
    assert answer(panels[:2], long + "2", limit=4096) == (Fit.EXACT, "b")


@pytest.mark.parametrize("name", ["$table", "${table}", "[[table]]", '"$table"', "$schema.$table"])
def test_a_variable_for_the_table(name: str) -> None:
    panels = [Panel(f"SELECT avg(v) FROM {name} WHERE k = 'x'", uid="a"), Panel("SELECT avg(v) FROM u", uid="b")]
    query = f"SELECT avg(v) FROM {name} WHERE k = 'x'"
    for old, new in (("$schema", "p"), ("${table}", "t1"), ("[[table]]", "t1"), ("$table", "t1")):
        query = query.replace(old, new)
    assert answer(panels, query) == (Fit.EXACT, "a")


def test_quotes_of_every_kind() -> None:
    sql = "SELECT split_part(n, '$$$', 2), $q$it's -- no comment $who$q$, 'a''b \"c\"', \"d'e\" FROM t WHERE x = '$x'"
    sent = sql.replace("$who", "you").replace("$x'", "Größe 🚀'")
    assert answer([Panel(sql, uid="a"), Panel(sql.replace("a''b", "a''c"), uid="b")], sent) == (Fit.EXACT, "a")
