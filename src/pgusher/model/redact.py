"""Secrets leave a text here, where it is read, so that no later stage can show one.

Everything that comes from a session or a process passes through one of these functions before it enters a fact.
They err on the side of hiding too much. All are idempotent and never raise.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from pgusher.model.pattern import pattern

HIDDEN = "***"

_NAMES = (
    r"pass(?:word|wd|phrase|code)?|pwd|secret|token|api[-_]?key|access[-_]?key|private[-_]?key|auth[-_]?key"
    r"|credentials?|sslpassword"
)
# Each of these names holds one of these words, so a text with none of them needs no pattern for names. No word has an
# "i": to a pattern that ignores case the Turkish ones are the same letter, to casefold they are not.
_TELLING = ("pass", "pwd", "secret", "token", "key", "credent")
_QUOTED = r"'(?:[^'\\]|\\.|\\\Z)*(?:'|\Z)|\"(?:[^\"\\]|\\.|\\\Z)*(?:\"|\Z)"
# What is hidden already stays as it is, whatever stands behind it.
_VALUE = rf"(?:\*\*\*(?![^\s&;,'\"}})\]])|{_QUOTED}|[^\s&;,'\"]+)"
# A name may stand inside a longer word (PGPASSWORD; db_password_file is hidden too: a path costs nothing).
# Every repetition that can fail is bounded, or ten kilobytes of "pass" would take minutes.
_ASSIGN = pattern(rf"(?is)((?:{_NAMES})[\w.-]{{0,64}}[\"']?\s{{0,9}}(?:=>|=|:(?!//))\s{{0,9}})({_VALUE})")
_FLAG_IN_TEXT = pattern(
    rf"(?is)((?<!\S)--?(?!-|no-)[\w-]{{0,64}}(?:{_NAMES})[\w-]{{0,64}}\s{{1,9}})(?!--?[a-z])({_VALUE})"
)
_FLAG = pattern(rf"(?i)^--?(?!-|no-)[\w.-]{{0,64}}(?:{_NAMES})[\w.-]{{0,64}}$")
# Up to the last "@" of the word: a password may hold "@", "/" and ":".
_URI_WORD = pattern(r"[^\s'\"]+")
_URI_USER = pattern(r"://[^\s:/@'\"]{0,256}:")
_BEARER = pattern(r"(?i)\b((?:bearer|basic)\s+)[\w.~+/=-]{6,}")
_SHAPES = pattern(
    r"\b(?:gl(?:sa|pat|ptt)[_-][\w-]{8,}|gh[pousr]_\w{16,}|github_pat_\w{16,}|xox[abeoprs]-[\w-]{8,}"
    r"|(?:AKIA|ASIA)[0-9A-Z]{12,}|AIza[\w-]{20,}|sk[-_](?:live[-_]|test[-_]|proj-)?\w{12,}|npm_\w{16,}"
    r"|hv[sb]\.[\w-]{16,}|dop_v1_\w{16,}|eyJ[\w-]{6,2048}\.[\w-]{6,}(?:\.[\w-]*)?)"
)
# Each of those shapes begins so.
_BEGINNINGS = (
    *("glsa", "glpat", "glptt", "ghp_", "gho_", "ghu_", "ghs_", "ghr_", "github_pat_", "xox", "AKIA", "ASIA", "AIza"),
    *("sk-", "sk_", "npm_", "hvs.", "hvb.", "dop_v1_", "eyJ"),
)
_PEM = pattern(r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)", re.S)
# Programs whose flag for a password is one letter, with the value in the same word or (where \s may match) the next.
# -p alone makes the mysql programs ask; for others it is a port, a path, a pid.
_SHORT = pattern(
    r"((?<![\w.-])(?:(?:mysql|mariadb)[\w-]{0,32}(?:\s+[^\s|;&]+){0,64}?\s+-p"
    r"|sshpass(?:\s+-[^\s|;&]+){0,8}?\s+-p\s*|redis-cli(?:\s+[^\s|;&]+){0,64}?\s+-a\s*"
    r"|mongo[\w-]{0,32}(?:\s+[^\s|;&]+){0,64}?\s+-p\s+|ldap[\w-]{1,32}(?:\s+[^\s|;&]+){0,64}?\s+-w\s*))"
    r"(?![\s|;&])[^\s|;&]+"
)
_SHORT_USERS = {"mysql": "-p", "mariadb": "-p", "sshpass": "-p", "redis-cli": "-a", "mongo": "-p", "ldap": "-w"}
_USER_PASS = pattern(r"^([^\s:/@]+:)\S+$")

_LONG_NUMBER = pattern(r"\d{9}")
_SQL_TOKENS = pattern(
    r"--[^\n]*"
    r"|/\*.*?(?:\*/|\Z)"
    r"|\"(?:[^\"]|\"\")*(?:\"|\Z)"
    r"|\b[eE]'(?:[^'\\]|\\.|'')*(?:'|\Z)"
    r"|'(?:[^']|'')*(?:'|\Z)"
    r"|\$(?P<tag>(?:[A-Za-z_\x80-\U0010ffff]\w*)?)\$.*?(?:\$(?P=tag)\$|\Z)"
    r"|\b\d{9,}\b",
    re.S,
)


def redact_text(text: str) -> str:
    """Any text: a command line, a connection string, an error message. Hides passwords, tokens and keys."""
    # Each pattern is tried only where it could match: most words of most command lines need none of them.
    if "PRIVATE KEY" in text:
        text = _PEM.sub(HIDDEN, text)
    if "://" in text and "@" in text:
        text = _URI_WORD.sub(_uri, text)
    folded = text.casefold()
    if "bearer" in folded or "bas" in folded:
        text = _BEARER.sub(rf"\1{HIDDEN}", text)
    if len(text) > 12 and any(beginning in text for beginning in _BEGINNINGS):
        text = _SHAPES.sub(HIDDEN, text)
    if any(program in folded for program in _SHORT_USERS):
        text = _SHORT.sub(rf"\1{HIDDEN}", text)
    if any(word in folded for word in _TELLING):
        text = _FLAG_IN_TEXT.sub(rf"\1{HIDDEN}", text)
        text = _ASSIGN.sub(rf"\1{HIDDEN}", text)
    return text


def _uri(match: re.Match[str]) -> str:
    """One word without its passwords. In time linear in its length: a pattern would try each "://" to its end."""
    word, out, done = match.group(), [], 0
    start = word.find("://")
    while start >= 0:
        user = _URI_USER.match(word, start)
        end = word.rfind("@", user.end(), user.end() + 1025) if user else -1
        if user and end >= 0:
            out.append(word[done : user.end()] + HIDDEN)
            done = end
        start = word.find("://", max(start + 3, done))
    return "".join(out) + word[done:]


def redact_argv(argv: Iterable[str]) -> tuple[str, ...]:
    """A command line as a list: as `redact_text` for each word, and the value after a flag such as --password."""
    out: list[str] = []
    previous = short = separate = ""
    for word in argv:
        if word[:2] == short and len(word) > 2:
            out.append(short + HIDDEN)
        elif (previous and previous == separate) or (_is_naming_flag(previous) and not re.match(r"--?[a-z]", word)):
            out.append(HIDDEN)
        elif previous in {"-u", "--user", "--proxy-user"} and _USER_PASS.match(word):
            out.append(_USER_PASS.sub(rf"\1{HIDDEN}", word))
        else:
            out.append(redact_text(word))
            if not short:
                program = word.rpartition("/")[2]
                short = next((flag for name, flag in _SHORT_USERS.items() if program.startswith(name)), "")
                separate = "" if program.startswith(("mysql", "mariadb")) else short
        previous = word
    return tuple(out)


def _is_naming_flag(word: str) -> bool:
    if word[:1] != "-":
        return False
    folded = word.casefold()
    return any(part in folded for part in _TELLING) and _FLAG.match(word) is not None


def redact_sql(query: str) -> str:
    """A statement with its string literals and long numbers replaced, also one that the server has cut short.

    Quoting follows the SQL standard (standard_conforming_strings = on, the default since PostgreSQL 9.1).
    Comments are kept and treated as `redact_text` does, since they name the caller (sqlcommenter, Grafana).
    """

    def literal(match: re.Match[str]) -> str:
        token = match.group()
        if token.startswith(("--", "/*")):
            return redact_text(token)
        if token.startswith('"'):
            return token
        return HIDDEN if token[0].isdigit() else f"'{HIDDEN}'"

    if "'" in query or '"' in query or "$" in query or "--" in query or "/*" in query or _LONG_NUMBER.search(query):
        query = _SQL_TOKENS.sub(literal, query)
    return redact_text(query)
