"""Comments are sent, or taken out, or taken out of strings: the panel is found in each case."""

from __future__ import annotations

import pytest

from pgusher.attribute.panels.comments import forms
from pgusher.attribute.panels.index import PanelIndex
from pgusher.model.panels import Fit, Panel

IN_STRING = "SELECT a, b FROM t WHERE note = '--none' AND x = 1\n AND kind = '/*' || k || '*/'"
NAIVE = "SELECT a, b FROM t WHERE note = '\n AND kind = ''"


def test_only_what_looks_like_a_comment_within_quotes_has_two_forms() -> None:
    assert forms("SELECT a -- it's so\nFROM t /* x */") == ("SELECT a -- it's so\nFROM t /* x */",)
    assert forms("SELECT '$$' FROM t") == ("SELECT '$$' FROM t",)
    assert forms(IN_STRING) == (IN_STRING, NAIVE)


@pytest.mark.parametrize("sent", [IN_STRING, NAIVE])
def test_a_release_that_has_no_eye_for_quotes(sent: str) -> None:
    """Its statement is an error for the server, which shows it all the same."""
    panels = [Panel(IN_STRING, uid="a"), Panel("SELECT a, b FROM t", uid="b")]
    match = PanelIndex(panels).match(sent)
    assert (match.fit, [one.uid for one in match.panels]) == (Fit.EXACT, ["a"])


def test_two_that_only_differ_in_what_such_a_release_takes_out() -> None:
    panels = [Panel(IN_STRING, uid="a"), Panel(IN_STRING.replace("none", "some"), uid="b")]
    index = PanelIndex(panels)
    assert index.match(IN_STRING).fit is Fit.EXACT
    assert index.match(NAIVE).fit is Fit.SAME_SQL


def test_a_text_that_is_cut_within_its_first_comment() -> None:
    comment = "-- " + "shared by the dashboards of the shop, change them all; " * 30
    panels = [Panel(f"{comment}{end}\nSELECT {end} FROM t", uid=end, source=end) for end in ("a", "b")]
    other = Panel("/* the stock */ SELECT 1", uid="c")
    index = PanelIndex([*panels, other])
    match = index.match(comment[:1023])
    assert (match.fit, [one.uid for one in match.panels], match.cut) == (Fit.CANDIDATES, ["a", "b"], True)
    assert [one.uid for one in index.match(comment[:1023], {"b"}).panels] == ["b"]
    assert index.match("-- another" * 200).fit is Fit.NONE
    assert PanelIndex([panels[0], other]).match(comment[:1023]).fit is Fit.EXACT
    assert PanelIndex([other], limit=12).match("/* the stoc").fit is Fit.CANDIDATES, "too little to be sure"


@pytest.mark.parametrize("limit", range(100, 260, 9))
def test_a_variable_in_a_comment_hides_no_panel(limit: int) -> None:
    """The hole in the comment is none of the statement: what stands behind it may still be cut off."""
    sql = "/* for $team */ SELECT " + ", ".join(f"column_{number}" for number in range(30)) + " FROM rare_table"
    for note in ("\n-- copy", "", "\n\n"):
        panels = [Panel(sql, uid="a"), Panel(sql + note, uid="b")]
        sent = (sql + note).replace("$team", "the team of the night")
        match = PanelIndex(panels, limit=limit).match(sent[: limit - 1])
        assert {one.uid for one in match.panels} == {"a", "b"}, limit
