"""The syntax of postgresql.conf, parsed. Pure: which files there are is `files`' business.

Source: src/backend/utils/misc/guc-file.l, whose tokens are rebuilt here, and GUC_yylex's caller ParseConfigFp.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from pgusher.model.pattern import pattern
from pgusher.model.values import dataclass

# What a letter is not: all that is not ASCII is one. A class of all those would take 10 ms to compile.
_LETTER = r"[^\x00-@\[-^`{-\x7f]"
_LETTER_OR_DIGIT = r"[^\x00-/:-@\[-^`{-\x7f]"
_ID = rf"{_LETTER}{_LETTER_OR_DIGIT}*"
# The longest first, as flex takes the longest.
_NUMBER = r"[-+]?(?:[0-9]*\.[0-9]*(?:[eE][-+]?[0-9]+)?|(?:0x[0-9A-Fa-f]+|[0-9]+)[A-Za-z]*)"
_TOKENS = pattern(
    rf"(?P<space>[ \t\r]+)|(?P<comment>\#.*)|(?P<equals>=)"
    rf"|(?P<string>'(?:[^'\\]|\\.|'')*')"
    rf"|(?P<word>{_ID}(?:{_LETTER_OR_DIGIT}|[:/.-])*|{_NUMBER})"
)
_NAME = pattern(rf"{_ID}(?:\.{_ID})?")
_QUALIFIED = pattern(rf"{_ID}\.{_ID}")
_ESCAPE = pattern(r"\\([0-7]{1,3}|.)|''", re.S)
_CONTROL = {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}


@dataclass(frozen=True, slots=True)
class Item:
    """One line that sets something, or names a further file."""

    name: str
    """In lower case, as names are compared without regard to case. "include", "include_dir", "include_if_exists"."""
    value: str
    line: int
    """From 1."""


@dataclass(frozen=True, slots=True)
class Conf:
    """All items of one file in their order (a later one wins), and the lines that PostgreSQL would refuse."""

    items: tuple[Item, ...] = ()
    wrong: tuple[int, ...] = ()


def parse_conf(text: str) -> Conf:
    """The items of a postgresql.conf. Never raises; a line that cannot be read is in `wrong`."""
    items, wrong = [], []
    for number, line in enumerate(text.split("\n"), 1):
        found = _line(line)
        if found is None:
            wrong.append(number)
        elif found:
            items.append(Item(found[0].lower(), found[1], number))
    return Conf(tuple(items), tuple(wrong))


def _line(line: str) -> tuple[str, str] | tuple[()] | None:
    """Name and value; () for an empty line, None for a wrong one."""
    words: list[str] = []
    equals = 0
    at = 0
    while at < len(line):
        match = _TOKENS.match(line, at)
        if match is None:
            return None
        at = match.end()
        if match.lastgroup == "equals":
            equals += 1
            if len(words) != 1 or equals > 1:
                return None
        elif match.lastgroup in {"string", "word"}:
            words.append(match.group())
    if not words:
        return () if not equals else None
    # A value may not look like "a.b": that is a name to the scanner, though "a.b.c" is a string.
    if len(words) != 2 or not _NAME.fullmatch(words[0]) or _QUALIFIED.fullmatch(words[1]):
        return None
    return words[0], _value(words[1])


def _value(word: str) -> str:
    if not word.startswith("'"):
        return word

    def plain(match: re.Match[str]) -> str:
        escaped = match.group(1)
        if escaped is None:
            return "'"
        if escaped[0] in "01234567":
            return chr(int(escaped, 8) & 0xFF)
        return _CONTROL.get(escaped, escaped)

    return _ESCAPE.sub(plain, word[1:-1])


def as_integer(value: str) -> int | None:
    """The value of an integer setting without a unit; None when it is none.

    PostgreSQL reads it as C does: 0x64 and 0144 are 100; a fraction is rounded (source: parse_int in guc.c).
    """
    text = value.strip()
    try:
        if re.fullmatch(r"[-+]?0[0-7]+", text):
            return int(text, 8)
        if re.fullmatch(r"[-+]?(?:0[xX][0-9a-fA-F]{1,8}|\d{1,10})", text, re.A):
            return int(text, 16 if "x" in text.lower() else 10)
        if re.fullmatch(r"[-+]?\d{0,10}\.\d{0,10}", text, re.A) and text.strip("+-.") != "":
            return round(float(text))
    except ValueError:
        return None
    return None


_WITH_VALUE = frozenset("BCcDdfhkNprStWv-")
_LETTERS = {"p": "port", "k": "unix_socket_directories", "h": "listen_addresses", "N": "max_connections"}


def parse_options(argv: Sequence[str]) -> dict[str, str]:
    """Settings on a postmaster's command line, by name; a later one wins. -D is "-D".

    Source: PostmasterMain in postmaster.c, whose getopt string is "B:bC:c:D:d:EeFf:h:ijk:lN:OPp:r:S:sTt:W:-:".
    """
    found: dict[str, str] = {}
    words = iter(argv[1:])
    for word in words:
        if not word.startswith("-") or word in {"-", "--"}:
            continue
        for at, letter in enumerate(word[1:], 1):
            if letter not in _WITH_VALUE:
                continue
            value = word[at + 1 :] or next(words, "")
            if letter in {"c", "-"}:
                name, equals, setting = value.partition("=")
                if equals:
                    found[name.strip().lower().replace("-", "_")] = setting
            elif letter == "D":
                found["-D"] = value
            elif letter in _LETTERS:
                found[_LETTERS[letter]] = value
            break
    return found
