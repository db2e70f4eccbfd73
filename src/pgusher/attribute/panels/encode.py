"""SQL as a text in which two ways of writing the same are one, and in which a word cannot be taken for half of another.

PostgreSQL's own rules of reading (src/backend/parser/scan.l) decide what is a string, a comment, a name. What is left:

- each word between WORD and END, in lower case; one of the words that build a statement (from, where ...) between
  CLAUSE and END, so that it is seen at once whether a stretch of text holds one; each other sign as it is;
- strings and quoted names as they are, with their inner quotes as INNER;
- no comments, no white space outside quotes, no semicolon at the end.

Marks (`pgusher.attribute.panels.holes`) pass through: they stand in the SQL of a panel for what is not known yet.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import chain

from pgusher.attribute.panels.holes import IN_NAME, IN_STRING, MARKS, UNTYPED

WORD, CLAUSE, INNER, END = "\x01", "\x02", "\x03", "\x04"
_BETWEEN = "\x05"

CLAUSES = frozenset({
    "select", "from", "where", "group", "having", "order", "union", "intersect", "except", "limit", "offset",
    "window", "join", "insert", "update", "delete", "set", "values", "returning",
})  # fmt: skip
"""The words of a statement's frame. A value that a variable stands for has none of them, or is SQL itself."""

_QUOTED = re.compile(  # each way begins with one sign: then `re` looks for these first, which is many times faster
    r"""
    --[^\n\r]*
    |/\*
    |e(?<![\w$]e)'(?:[^'\\]|\\.|'')*(?:'|\\?\Z)
    |E(?<![\w$]E)'(?:[^'\\]|\\.|'')*(?:'|\\?\Z)
    |'(?:[^']|'')*(?:'|\Z)
    |"(?:[^"]|"")*(?:"|\Z)
    |\$(?<![\w$]\$)(?P<tag>(?:[^\W\d]\w*)?)\$.*?(?:\$(?P=tag)\$|\Z)
    """,
    re.S | re.X,
)
_WORD = re.compile(rf"([\w{MARKS}][\w${MARKS}]*)")
_CLAUSES = {word: f"{CLAUSE}{word}{END}" for word in CLAUSES}
_WORD_AT_MARK = re.compile(f"{WORD}(?=[{MARKS}])|(?<=[{MARKS}]){END}")
_LAST = re.compile(rf"[\w${MARKS}]*\Z|[-/]\Z")
_SEMICOLON = f"{CLAUSE};{END}"
_BLOCK = re.compile(r"/\*|\*/")
_CONTROL = re.compile(r"[\x00-\x08\x0e-\x1f]")
_TO_STRING = str.maketrans(dict.fromkeys(UNTYPED, IN_STRING))
_TO_NAME = str.maketrans(dict.fromkeys(UNTYPED, IN_NAME))
_MARK = re.compile(f"([{MARKS}])")


def encode(sql: str, *, cut: bool = False) -> str:
    """The text to compare. Raises nothing, whatever the SQL.

    With `cut` its end may be missing: then the last word and the last quote, which may go on, are left out or open.
    """
    sql = _CONTROL.sub(" ", sql)
    between, quoted_parts = [], []  # what stands between quotes and comments is read in one go: it is faster
    at, size = 0, len(sql)
    while (quoted := _QUOTED.search(sql, at)) is not None:
        between.append(sql[at : quoted.start()])
        at = quoted.end()
        text, before = quoted.group(), ""
        if text[0] in "eE":
            before, text = f"{WORD}e{END}", text[1:]
        if text == "/*":
            at = _end_of_comment(sql, at)
            quoted_parts.append("")
        else:
            quoted_parts.append("" if text[0] == "-" else before + _quoted(text, cut and at == size))
    rest = sql[at:]
    between.append(_LAST.sub("", rest, count=1) if cut and rest else rest)
    parts = _plain(_BETWEEN.join(between)).split(_BETWEEN)
    text = "".join(chain.from_iterable(zip(parts, (*quoted_parts, ""), strict=True)))
    while not cut and text.endswith(_SEMICOLON):
        text = text[: -len(_SEMICOLON)]
    return text


def quotes(sql: str) -> Iterator[str]:
    """The strings and quoted names, as they are written."""
    return (found.group() for found in _QUOTED.finditer(sql) if found.group()[0] not in "-/")


def _plain(sql: str) -> str:
    """What stands between quotes and comments."""
    parts = _WORD.split(sql.lower())
    parts[1::2] = [_CLAUSES.get(word) or f"{WORD}{word}{END}" for word in parts[1::2]]
    text = "".join("".join(parts).split())
    if ";" in text:
        text = text.replace(";", _SEMICOLON)
    if not text.isascii() and _MARK.search(text) is not None:
        text = _WORD_AT_MARK.sub("", text)  # a hole takes the beginning or the end of a word with what it stands for
    return text


def _quoted(token: str, open_end: bool) -> str:
    quote = token[0]
    if quote == "$":
        return token.rstrip("$") if open_end else token
    inside = token[1:]
    if (len(inside) - len(inside.rstrip(quote))) % 2:  # else it has no end: two quotes in a row are one sign of it
        inside = inside[:-1]
    if quote * 2 in inside:
        inside = inside.replace(quote * 2, INNER)
    if not inside.isascii() and _MARK.search(inside):
        inside = inside.translate(_TO_STRING if quote == "'" else _TO_NAME)
    # The last quote of a cut text may be the first of two, which are one inside a string.
    return f"{quote}{inside}" if open_end else f"{quote}{inside}{quote}"


def _end_of_comment(sql: str, at: int) -> int:
    depth = 1
    for found in _BLOCK.finditer(sql, at):
        depth += 1 if found.group() == "/*" else -1
        if depth == 0:
            return found.end()
    return len(sql)


_WORDS = re.compile(rf"{WORD}([^{WORD}{CLAUSE}{END}{MARKS}]+){END}")


def words(encoded: str) -> set[str]:
    """The whole words of an encoded text, without those of a statement's frame."""
    return set(_WORDS.findall(encoded))
