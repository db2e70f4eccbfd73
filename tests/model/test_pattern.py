"""A pattern that is compiled later is the same pattern."""

from __future__ import annotations

import re

import pytest

from pgusher.model.pattern import pattern


def test_it_is_compiled_at_its_first_use_and_once(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[object] = []
    compiled = re.compile("(?P<a>x+)", re.I)

    def compiling(*words: object) -> re.Pattern[str]:
        made.append(words)
        return compiled

    monkeypatch.setattr(re, "compile", compiling)
    one = pattern("(?P<a>x+)", re.I)
    assert made == []
    found = one.match("XXy")
    assert found is not None
    assert found["a"] == "XX"
    assert one.sub("-", "axb") == "a-b"
    assert made == [("(?P<a>x+)", re.I)]


@pytest.mark.parametrize(
    "name", ["match", "fullmatch", "search", "sub", "subn", "split", "findall", "finditer", "pattern"]
)
def test_it_has_what_a_pattern_has(name: str) -> None:
    compiled = re.compile(rb"\d+")
    later = pattern(rb"\d+")
    assert getattr(later, name) == getattr(compiled, name)


def test_a_method_may_be_kept() -> None:
    assert pattern("[a-z]+").fullmatch("abc") is not None


def test_a_mistake_is_told_when_it_is_used() -> None:
    wrong = pattern("(")
    with pytest.raises(re.error):
        wrong.match("")
