"""Secrets leave a text here, where it is read, so that no later stage can show one.

Everything that comes from a session or a process passes through one of these functions before it enters a fact.
They err on the side of hiding too much. All are idempotent and never raise.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from pgusher.model import secret_shapes as shapes
from pgusher.model.pattern import pattern
from pgusher.model.secret_shapes import HIDDEN
from pgusher.model.secret_values import hide, hide_in_uris

__all__ = ["HIDDEN", "redact_argv", "redact_sql", "redact_text"]

_ROUNDS = 4
_LONG_NUMBER = pattern(r"\d{9}")
_COMMAND = pattern(r"-\w*c|--command")


def redact_text(text: str) -> str:
    """Any text: a command line, a connection string, an error message. Hides passwords, tokens and keys."""
    for _ in range(_ROUNDS):
        shown = _redact_once(text)
        if shown == text:
            return text
        # What is hidden may have been a quote that something else was read by, so the result is read again.
        text = shown
    return HIDDEN


def _redact_once(text: str) -> str:
    # Each pattern is tried only where it could match: most words of most command lines need none of them.
    if "://" in text:
        text = hide_in_uris(text)
    folded = text.casefold()
    text = _by_shape(text, folded)
    if any(program in folded for program in shapes.SHORT_USERS):
        text = hide(text, shapes.SHORT)
    if "/" in text and any(program in text for program in shapes.ORACLE_USERS):
        text = shapes.ORACLE.sub(rf"\1{HIDDEN}", text)
    if ":" in text and any(flag in text for flag in ("-u", "-U", "-auth")):
        text = hide(text, shapes.USER_PASS)
    if "password" in folded or "dentified" in folded:
        text = hide(text, shapes.SQL_PASSWORD, "sql")
    if any(word in folded for word in shapes.TELLING):
        text = hide(hide(text, shapes.FLAG) if "-" in text else text, shapes.ASSIGN)
    if "-p" in text:
        text = hide(text, shapes.GLUED, innocent=shapes.GLUED_INNOCENT)
    return text


def _by_shape(text: str, folded: str) -> str:
    if "PRIVATE KEY" in text:
        text = shapes.PEM.sub(HIDDEN, text)
    if ":" in text and any(word in folded for word in ("auth", "cook", "x-", "private-")):
        text = hide(text, shapes.HEADER, "header")
    if "bearer" in folded or "bas" in folded:
        text = shapes.BEARER.sub(rf"\1{HIDDEN}", text)
    if len(text) > 12 and any(beginning in text for beginning in shapes.BEGINNINGS):
        text = shapes.SHAPES.sub(HIDDEN, text)
    return text


def redact_argv(argv: Iterable[str]) -> tuple[str, ...]:
    """A command line as a list: as `redact_text` for each word, and the value after a flag such as --password."""
    out: list[str] = []
    previous = short = separate = ""
    oracle = False
    for word in argv:
        shown = None
        if short and word[:2] == short and len(word) > 2:
            shown = short + HIDDEN
        elif (previous and previous == separate) or (_is_naming_flag(previous) and not re.match(r"--[a-z]", word)):
            shown = HIDDEN
        elif previous in shapes.USER_FLAGS:
            shown = _rest_hidden(word, shapes.PAIR)
        elif oracle and shapes.ORACLE_WORD.match(word):
            shown = shapes.ORACLE_WORD.sub(rf"\1{HIDDEN}", word)
        # A shell's command may begin as "PW=x" does, and goes on; it is read as in a crontab, so that both are equal.
        if shown is None and out and (word[:1] == "-" or not _COMMAND.fullmatch(previous)):
            shown = _own_value(word)
        out.append(redact_text(word if shown is None else shown))
        if not short:
            program = word.rpartition("/")[2]
            short = next((flag for name, flag in shapes.SHORT_USERS.items() if program.startswith(name)), "")
            separate = "" if program.startswith(("mysql", "mariadb")) else short
            oracle = oracle or program.startswith(shapes.ORACLE_USERS)
        previous = word
    return tuple(out)


def _own_value(word: str) -> str | None:
    """A word that is a flag with its value: here the value goes on to the end of the word, blanks or not."""
    if word.startswith("-p"):
        if len(word) >= 8 and not shapes.GLUED_INNOCENT.match(word[2:]):
            return "-p" + HIDDEN
    elif word.startswith(("-u", "-U", "--")) and ":" in word:
        shown = _rest_hidden(word, shapes.PAIR_WORD)
        if shown is not None:
            return shown
    return _rest_hidden(word, shapes.OWN_VALUE) if "=" in word else None


def _rest_hidden(word: str, head: re.Pattern[str]) -> str | None:
    match = head.match(word)
    return word[: match.end()] + HIDDEN if match and match.end() < len(word) else None


def _is_naming_flag(word: str) -> bool:
    if word[:1] != "-":
        return False
    folded = word.casefold()
    return any(part in folded for part in shapes.TELLING) and shapes.FLAG_WORD.match(word) is not None


def redact_sql(query: str) -> str:
    """A statement with its string literals and long numbers replaced, also one that the server has cut short.

    Comments are kept and treated as `redact_text` does, since they name the caller (sqlcommenter, Grafana).
    """
    if "'" in query or '"' in query or "$" in query or "--" in query or "/*" in query or _LONG_NUMBER.search(query):
        from pgusher.model.redact_sql import without_literals

        query = without_literals(query, redact_text)
    return redact_text(query)
