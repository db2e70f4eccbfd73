"""Statements without their literals, by PostgreSQL's own rules of quoting (src/backend/parser/scan.l)."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from pgusher.model.pattern import pattern
from pgusher.model.secret_shapes import HIDDEN

# The first character of a tag is one of A-Z, a-z, _ and all beyond ASCII, told by what it is not: the compiler of `re`
# takes 5 ms for a class of a million characters.
_TOKENS = r"""
    --[^\n]*
    |/\*
    |\"(?:[^\"]|\"\")*(?:\"|\Z)
    |\b[eE]'(?:[^'\\]|\\.|'')*(?:'|\\?\Z)
    |{plain}
    |(?<![\w$])\$(?P<tag>(?:[^\x00-@\[-^`{{-\x7f]\w*)?)\$.*?(?:\$(?P=tag)\$|\Z)
    |\b\d{{9,}}\b
"""
_STANDARD = pattern(_TOKENS.format(plain=r"'(?:[^']|'')*(?:'|\Z)"), re.S | re.X)
_BACKSLASHES = pattern(_TOKENS.format(plain=r"'(?:[^'\\]|\\.|'')*(?:'|\\?\Z)"), re.S | re.X)
_COMMENT = pattern(r"/\*|\*/")


def without_literals(query: str, comment: Callable[[str], str]) -> str:
    """The statement with HIDDEN for string literals and long numbers; `comment` is applied to each comment.

    A backslash before a quote ends a literal or not, as standard_conforming_strings has been set in that session,
    which nobody else can see. Then both readings count: what is a literal in either of them is hidden.
    """
    if "\\'" in query:
        return _without(query, sorted((*_literals(query, _STANDARD), *_literals(query, _BACKSLASHES))))
    out: list[str] = []
    done = 0
    for start, stop, kind in _tokens(query, _STANDARD):
        shown = comment(query[start:stop]) if kind == "-" else HIDDEN if kind == "0" else f"'{HIDDEN}'"
        out += query[done:start], shown
        done = stop
    return "".join(out) + query[done:]


def _without(query: str, literals: list[tuple[int, int, str]]) -> str:
    out: list[str] = []
    done = 0
    for start, stop, kind in literals:
        if start >= done:
            out += query[done:start], HIDDEN if kind == "0" else f"'{HIDDEN}'"
        done = max(done, stop)
    return "".join(out) + query[done:]


def _literals(query: str, tokens: re.Pattern[str]) -> Iterator[tuple[int, int, str]]:
    return (token for token in _tokens(query, tokens) if token[2] != "-")


def _tokens(query: str, tokens: re.Pattern[str]) -> Iterator[tuple[int, int, str]]:
    """Start, end and kind of what is not shown as it is: "-" a comment, "0" a number, "'" a literal."""
    at = 0
    while match := tokens.search(query, at):
        first, at = query[match.start()], match.end()
        if first == "/":
            at = _end_of_comment(query, at)
        if first != '"':
            yield match.start(), at, "-" if first in "-/" else "0" if first.isdigit() else "'"


def _end_of_comment(query: str, at: int) -> int:
    """Behind the end of the comment whose beginning ends at `at`. PostgreSQL's comments nest, unlike those of C."""
    depth = 1
    for match in _COMMENT.finditer(query, at):
        depth += 1 if match.group() == "/*" else -1
        if depth == 0:
            return match.end()
    return len(query)
