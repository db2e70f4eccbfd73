"""Where a secret ends: the value behind a head, by the rules of shells, of libpq's keywords and of JSON at once.

A text does not tell whose rules hold for it. Where they differ the later end counts: better too much than too little.
"""

from __future__ import annotations

import re

from pgusher.model.pattern import pattern
from pgusher.model.secret_shapes import HIDDEN, URI_PORT, URI_SCHEME, URI_USER

_QUOTE = pattern(r"\\.|['\"]", re.S)
_PIECE = pattern(r"\\.|['\"\s]", re.S)
_APOSTROPHE = pattern("'")
_APOSTROPHE_OR_ESCAPE = pattern(r"\\.|'", re.S)
_BLANK = pattern(r"\s|\Z")
# As a program's text or JSON escapes a quote, and a shell within ' and '.
_ESCAPED_QUOTE = pattern(r"""\\{1,7}['"]|'\\''|'"'"'""")
_DOLLAR = pattern(r"\$(?:[A-Za-z_]\w{0,63})?\$")
# Commands and flags whose next word sets a variable.
_SETS = pattern(r"(?:\benv|\bexport|\bsudo|-e|--env)\s+\Z")
# What may stand behind the quote that closes a word; anything else goes on with the same word.
_CLOSING = frozenset(" \t\n\r\f\v,;)}]|&<>:")
_CLOSING_NOTHING = frozenset(" \t\n\r\f\v,;)}]")
# What stands behind a value rather than in it: a shell and a reader need it more than a guesser of the secret.
_TRAILING = ";,)]}&|"
_LONGEST_URI_PASSWORD = 4096
_LONGEST_GAP = 256


def hide(text: str, heads: re.Pattern[str], kind: str = "", innocent: re.Pattern[str] | None = None) -> str:
    """The text with HIDDEN for each value behind a head; in time linear in its length.

    kind: "header" for values that go on to the end of the line, "sql" for those that may stand between $tags$.
    innocent: what a value begins with that is none; such a value, or one under six characters, then stays.
    """
    out: list[str] = []
    done = at = 0
    outer, seen = "", 0
    while match := heads.search(text, at):
        start = match.end()
        outer, seen = _open_quote(text, seen, start, outer), start
        named = bool(match.groupdict().get("quote"))
        if outer and not named and _has_opened(text, outer, match.start(), start):
            stop, outer = _end(text, start, "", inner=outer), ""
        elif kind == "header" and not (text[start : start + 1] in {"'", '"', "\\"} and named):
            stop = _end_of_line(text, start, outer)
        else:
            tag = _DOLLAR.match(text, start) if kind == "sql" else None
            if tag:
                close = text.find(tag.group(), tag.end())
                stop = len(text) if close < 0 else close + len(tag.group())
            else:
                stop = _end(text, start, outer, named=named)
        shorter = start + len(text[start:stop].rstrip(_TRAILING))
        stop = shorter if shorter > start or stop == start + 1 else stop
        if innocent is not None and (stop - start < 6 or innocent.match(text[start:stop])):
            at = max(start, at + 1)
            continue
        if stop > start:
            out += text[done:start], HIDDEN
            done = seen = stop
        at = max(stop, at + 1, match.start() + 1)
    return "".join(out) + text[done:] if out else text


def _has_opened(text: str, quote: str, head: int, start: int) -> bool:
    """Whether the open quote belongs to the word of the value alone: -u 'name:a b', '--password=a b', env 'PW=a b'."""
    if text.rfind(quote, head, start) >= 0:
        return True
    word = head
    while word and head - word < 64 and (text[word - 1].isalnum() or text[word - 1] in "_.-"):
        word -= 1
    if text[word - 1 : word] != quote or text[start - 1].isspace():
        return False
    return text[word] == "-" or _SETS.search(text[max(0, word - 33) : word - 1]) is not None


def _open_quote(text: str, start: int, stop: int, quote: str) -> str:
    """The quote that is open at `stop`, if `quote` is at `start`."""
    for match in _QUOTE.finditer(text, start, stop):
        found = match.group()
        if len(found) > 1:
            continue
        if quote:
            quote = "" if found == quote else quote
        elif not (found == "'" and _is_apostrophe(text, match.start())):
            quote = found
    return quote


def _is_apostrophe(text: str, at: int) -> bool:
    return text[at - 1 : at].isalnum() and text[at + 1 : at + 2].isalnum()


def _end(text: str, start: int, outer: str, *, inner: str = "", named: bool = False) -> int:
    """Where the value ends that begins at `start`, within the quote `outer`.

    inner: the quote that the value is in; named: the name was in quotes, so this is JSON or a dict, where nothing
    but the value stands in the value's quotes.
    """
    at = start
    if named and text.startswith(HIDDEN, at):
        return at + len(HIDDEN)
    stop = at
    escaped = None if inner else _ESCAPED_QUOTE.match(text, at)
    if escaped:
        stop = _end_of_escaped(text, escaped)
        if named and stop > start:
            return stop
        at = stop if escaped.group()[0] == "\\" else at
    if not inner and text[at : at + 1] in {"'", '"'} and not (text[at] == outer and _closes_nothing(text, at + 1)):
        inner, at = text[at], at + 1
    stop = max(stop, _end_of_word(text, at, outer, inner, named, _APOSTROPHE_OR_ESCAPE))
    # Between ' and ' a backslash is an escape to libpq, and a letter to a shell.
    return max(stop, _end_of_word(text, at, outer, inner, named, _APOSTROPHE)) if "\\" in text[start:stop] else stop


def _end_of_escaped(text: str, opened: re.Match[str]) -> int:
    """Behind the escaped quote that closes the opened one; where that begins if there is none.

    One with a backslash before it, or doubled, belongs to the value, as in DSNs and in SQL.
    """
    quote, at = opened.group(), opened.end()
    while (close := text.find(quote, at)) >= 0:
        at = close + len(quote)
        if text.startswith(quote, at):
            at += len(quote)
        elif text[close - 1] != "\\":
            return at
    return opened.start()


def _end_of_word(text: str, at: int, outer: str, inner: str, named: bool, quoted: re.Pattern[str]) -> int:
    """Where the word ends that goes on at `at`. quoted: what to look for between ' and '."""
    while piece := (quoted if inner == "'" else _PIECE).search(text, at):
        found, at = piece.group(), piece.end()
        if len(found) > 1:
            continue
        if inner:
            if found == inner:
                inner = ""
                if named:
                    return at
        elif found == outer:
            if _closes(text, at):
                return piece.start()
            outer = ""
        elif found in {"'", '"'}:
            inner = found
        else:
            return piece.start()
    return len(text)


def _closes(text: str, at: int) -> bool:
    return at >= len(text) or text[at] in _CLOSING


def _closes_nothing(text: str, at: int) -> bool:
    """Whether a quote right behind a head closes what is around it, rather than opens the value."""
    return at >= len(text) or text[at] in _CLOSING_NOTHING


def _end_of_line(text: str, start: int, outer: str) -> int:
    line = text.find("\n", start)
    line = len(text) if line < 0 else line
    if not outer:
        return line
    readings = (_QUOTE, _APOSTROPHE) if outer == "'" else (_QUOTE,)
    return max(_end_of_quote(text, start, line, outer, quotes) for quotes in readings)


def _end_of_quote(text: str, start: int, line: int, outer: str, quotes: re.Pattern[str]) -> int:
    for match in quotes.finditer(text, start, line):
        if match.group() == outer:
            # Whatever goes on behind the quote is the same word to a shell.
            at = match.end()
            return match.start() if _closes(text, at) else _end_of_word(text, at, "", "", False, _APOSTROPHE)
    return line


def hide_in_uris(text: str) -> str:
    """The text without the passwords of its URIs, in time linear in its length.

    A password may hold "@", "/", ":", quotes and, with an "@" behind it, blanks.
    """
    out: list[str] = []
    done = blank = 0
    first = text.find("://")
    whole = bool(URI_SCHEME.match(text[:first]))  # the text is a URI, not one that holds some
    start = first
    while start >= 0:
        user = URI_USER.match(text, start)
        if user:
            at = user.end()
            if blank < at and (match := _BLANK.search(text, at)):
                blank = match.start()
            stop = _end_in_uri(text, at, blank, whole and start == first)
            if stop > at:
                out += text[done:at], HIDDEN
                done = stop
        start = text.find("://", max(start + 3, done))
    return "".join(out) + text[done:]


def _end_in_uri(text: str, at: int, blank: int, whole: bool) -> int:
    """Where the password that begins at `at` ends; `at` if there is none. `blank`: the next white space or the end."""
    stop = text.rfind("@", at, min(blank, at + _LONGEST_URI_PASSWORD))
    if blank == at or (stop < 0 and URI_PORT.match(text, at)):
        return at
    if whole:
        return (
            max(stop, text.rfind("@", at, at + _LONGEST_URI_PASSWORD)) if "@" in text[at:] else _torn(text, at, blank)
        )
    if 0 <= stop < blank - 1:
        return stop
    limit = text.find("\n", blank, blank + _LONGEST_GAP)
    limit = blank + _LONGEST_GAP if limit < 0 else limit
    other = text.find("://", blank, limit)
    later = text.rfind("@", blank, limit if other < 0 else other)
    return max(stop, later) if stop >= 0 or later >= 0 else _torn(text, at, blank)


def _torn(text: str, at: int, blank: int) -> int:
    """What is behind the colon of a URI that ends with the text has perhaps lost its "@" and is no port."""
    return blank if blank == len(text) else at
