"""Refusals among the lines of a server's log: csvlog, jsonlog, and the plain one. Pure; hostile bytes in.

csvlog and jsonlog have the SQLSTATE (source: PostgreSQL documentation, "Error Reporting and Logging"). The plain log
has it where log_line_prefix has %e; else the words tell, in all languages of the server.
"""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterator

from pgusher.client.wordings import says_full
from pgusher.collect.postgres.refusal import TOO_MANY, one_line
from pgusher.model.server import Ceiling

Line = tuple[str, str | None]
"""The words of one refusal with who was refused, and its SQLSTATE if the log has it."""

_WHO = 63
_USER, _DATABASE, _FROM, _STATE, _MESSAGE = 1, 2, 4, 12, 13
_SEVERITY = re.compile(r"(?:^|[\s\]])[^\s:\[\]]{1,40}:  ")
"""Between the prefix and the words: "FATAL:  ", translated."""
_CEILINGS = (
    ("sorry, too many clients already", Ceiling.ALL),
    ("remaining connection slots are reserved", Ceiling.RESERVED),
    ("too many connections for role", Ceiling.ROLE),
    ("too many connections for database", Ceiling.DATABASE),
)


def whole(data: bytes, kind: str) -> int:
    """How many of these bytes are whole lines, of csvlog whole rows: what is behind them is still being written."""
    end = data.rfind(b"\n") + 1
    if kind != "csvlog":
        return end
    while end and data.count(b'"', 0, end) % 2:  # inside of a quoted message
        end = data.rfind(b"\n", 0, end - 1) + 1
    return end


def refusals(data: bytes, kind: str) -> Iterator[Line]:
    """Those among whole lines. `kind`: "csvlog", "jsonlog" or "stderr". Raises nothing: what is torn is left out."""
    if kind == "csvlog":
        yield from _of_csv(data)
    elif kind == "jsonlog":
        yield from _of_json(data)
    else:
        yield from _of_text(data)


def ceiling_of(words: str) -> str | None:
    """The limit that English words are about."""
    return next((ceiling.value for fragment, ceiling in _CEILINGS if fragment in words), None)


def _of_csv(data: bytes) -> Iterator[Line]:
    if TOO_MANY.encode() not in data:
        return
    rows = csv.reader(io.StringIO(data.decode("utf-8", "replace").replace("\0", "")))
    while True:
        try:
            row = next(rows)
        except StopIteration:
            return
        except csv.Error:
            continue
        if len(row) > _MESSAGE and row[_STATE] == TOO_MANY:
            yield (
                _line(row[_MESSAGE], row[_USER], row[_DATABASE], row[_FROM].rpartition(":")[0] or row[_FROM]),
                TOO_MANY,
            )


def _of_json(data: bytes) -> Iterator[Line]:
    for raw in data.split(b"\n"):
        if TOO_MANY.encode() not in raw:
            continue
        try:
            told = json.loads(raw.decode("utf-8", "replace"))
        except ValueError:
            continue
        if isinstance(told, dict) and told.get("state_code") == TOO_MANY:
            who = (told.get(key) for key in ("message", "user", "dbname", "remote_host"))
            yield _line(*(one if isinstance(one, str) else "" for one in who)), TOO_MANY


def _of_text(data: bytes) -> Iterator[Line]:
    text = data.decode("utf-8", "replace")
    state = re.compile(rf"\b{TOO_MANY}\b")
    full = says_full()
    for raw in text.split("\n"):
        if raw[:1] in {"\t", " ", ""}:  # what follows a first line
            continue
        severity = _SEVERITY.search(raw)
        if severity is None:
            continue
        prefix, words = raw[: severity.start()], raw[severity.end() :]
        by_state = state.search(prefix) is not None or words.startswith(f"{TOO_MANY}: ")
        # Only at its beginning: a statement or a message may quote such words.
        if by_state or full.match(words):
            yield one_line(words.removeprefix(f"{TOO_MANY}: ")), TOO_MANY if by_state else None


def _line(words: str, user: str, database: str, address: str) -> str:
    who = "@".join(part[:_WHO] for part in (user, database) if part)
    where = f" from {address[:_WHO]}" if address else ""
    return one_line(f"{words} ({who or 'not told who'}{where})" if who or where else words)
