"""Holes: what stands in a panel's SQL for text that only Grafana knows at the moment of sending.

A hole is one character of Unicode's private area while SQL is read, and a kind with its own test afterwards.
"""

from __future__ import annotations

import re
from collections.abc import Callable

DATA = "\ue000"
"""A variable: names, numbers, strings, lists of them; no part of a statement's frame."""
WILD = "\ue001"
"""A variable whose values are known to contain SQL: anything at all."""
NUMBER = "\ue002"
DURATION = "\ue003"
""" "30s", "1h"."""
TIME = "\ue004"
"""A moment as Grafana writes it: 2026-01-31T10:00:00.123Z."""
IN_STRING = "\ue005"
"""A variable between single quotes."""
IN_NAME = "\ue006"
"""A variable between double quotes."""
LOOSE = "\ue007"
"""A variable that is known to stand for an expression, or that people type: it need not look like values."""

MARKS = "\ue000-\ue007"
"""For a class of `re`."""
UNTYPED = (DATA, WILD, LOOSE)
FIXED = frozenset((NUMBER, DURATION, TIME))
"""Those that take no more than `WIDEST` bytes."""
WIDEST = 40

_STRIP = re.compile(f"[{MARKS}]")


def without_marks(sql: str) -> str:
    """SQL in which nothing can be taken for a hole."""
    return sql if sql.isascii() else _STRIP.sub("\ufffd", sql)


def _none_of(*signs: str) -> Callable[[str], bool]:
    def check(text: str) -> bool:
        return all(sign not in text for sign in signs)

    return check


def _only(signs: str) -> Callable[[str], bool]:
    allowed = frozenset(signs)
    return allowed.issuperset


TESTS: dict[str, Callable[[str], bool]] = {
    DATA: _none_of("\x02"),
    LOOSE: _none_of("\x02"),
    WILD: lambda _text: True,
    NUMBER: _only("0123456789.+-e\x01\x04"),
    DURATION: _only("0123456789.smhdwy\x01\x04"),
    TIME: _only("0123456789TZtz:.+- "),
    IN_STRING: _none_of("'", "\x01", "\x02", "\x04"),
    IN_NAME: _none_of('"', "\x01", "\x02", "\x04"),
}
"""Whether a text may be what a hole of that kind stood for. Nothing becomes allowed by what is put behind it."""

_QUOTED = re.compile(r"'[^']*(?:'|\Z)|\"[^\"]*(?:\"|\Z)")
_STRUCTURE = re.compile(
    r"[()=<>*;~!\x02]|\|\|"
    r"|\x01(?:and|or|not|is|in|between|like|ilike|case|when|then|else|end|as|on|using|asc|desc)\x04"
)


def plain(text: str) -> bool:
    """Whether it looks like values: strings, numbers, names, a list of them; no operator, no call, no condition."""
    return _STRUCTURE.search(_QUOTED.sub("", text)) is None
