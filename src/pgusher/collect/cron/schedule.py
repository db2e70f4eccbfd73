"""The five time fields of a crontab line, as far as cron itself looks at them.

Cron is lenient in one way that surprises: what stands behind a number or a star, up to the next blank, is skipped
("5;x" is 5, "*x" is *; get_list in entry.c). A line that cron runs must not be rejected here, so this is so here too.
"""

from __future__ import annotations

from typing import NamedTuple

from pgusher.collect.cron.dialect import Dialect
from pgusher.model.pattern import pattern

NICKNAMES = frozenset({b"reboot", b"yearly", b"annually", b"monthly", b"weekly", b"daily", b"midnight", b"hourly"})
"""What may stand behind an @; in small letters only."""

_WORD = pattern(rb"[0-9A-Za-z]*")  # isalnum(3) in the C locale


class _Field(NamedTuple):
    name: str
    low: int
    high: int
    names: tuple[bytes, ...] = ()


_MONTHS = (b"jan", b"feb", b"mar", b"apr", b"may", b"jun", b"jul", b"aug", b"sep", b"oct", b"nov", b"dec")
_DAYS = (b"sun", b"mon", b"tue", b"wed", b"thu", b"fri", b"sat", b"sun")
_FIELDS = (
    _Field("minute", 0, 59),
    _Field("hour", 0, 23),
    _Field("day-of-month", 1, 31),
    _Field("month", 1, 12, _MONTHS),
    _Field("day-of-week", 0, 7, _DAYS),
)


def what_is_wrong(fields: list[bytes], dialect: Dialect) -> str | None:
    """The first field that cron would not take, in its own words: "bad minute"; None when all five are well."""
    for number, field in enumerate(_FIELDS):
        if number >= len(fields) or (fields[number] != b"*" and not _is_list(fields[number], field, dialect)):
            return f"bad {field.name}"
    return None


def _is_list(token: bytes, field: _Field, dialect: Dialect) -> bool:
    at = 0
    while True:
        end = _range(token, at, field, dialect)
        if end is None:
            return False
        if token[end : end + 1] != b",":
            return True
        at = end + 1


def _range(token: bytes, at: int, field: _Field, dialect: Dialect) -> int | None:
    """Where the range that starts at `at` ends; None when there is none."""
    if token[at : at + 1] == b"*":
        at += 1
    elif dialect.tilde and token[at : at + 1] == b"~":
        return _random_end(token, at, field)
    else:
        first, at = _number(token, at, field)
        if first is None:
            return None
        mark = token[at : at + 1]
        if dialect.tilde and mark == b"~":
            return _random_end(token, at, field)
        if mark == b"-":
            last, at = _number(token, at + 1, field)
            if last is None:
                return None
        elif mark == b"/" and not dialect.lone_step:
            return None
        elif mark != b"/":
            return at
    if token[at : at + 1] == b"/":
        step = _WORD.match(token, at + 1)
        if step is None or not step.group().isdigit() or not step.group().strip(b"0"):
            return None
        at = step.end()
    return at


def _random_end(token: bytes, at: int, field: _Field) -> int | None:
    """Where "~20", the second half of a random value, ends: both ends may be left out."""
    if not token[at + 1 : at + 2].isdigit():
        return at + 1
    number, at = _number(token, at + 1, field)
    return None if number is None else at


def _number(token: bytes, at: int, field: _Field) -> tuple[int | None, int]:
    """The number or name at `at`, None when it is none of this field, and where it ends."""
    match = _WORD.match(token, at)
    word = match.group() if match else b""
    at += len(word)
    if word.lower() in field.names:
        return field.low + field.names.index(word.lower()), at
    # 999 digits are cron's own limit (MAX_TEMPSTR).
    if not word.isdigit() or len(word) > 999 or not field.low <= int(word) <= field.high:
        return None, at
    return int(word), at
