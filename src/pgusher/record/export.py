"""Lives as rows: CSV for spreadsheets, Parquet for what reads millions of them."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from importlib import import_module
from typing import Any

from pgusher.errors import PgusherError
from pgusher.model.address import Micros
from pgusher.model.past import Life

COLUMNS = (
    "server", "holder", "pid", "backend_start", "first_seen", "gone", "user", "database", "application_name", "client",
    "port", "process",
)  # fmt: skip
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_BATCH = 50_000


def csv_lines(server: str, lives: Iterable[Life]) -> Iterator[str]:
    """The heading, and one line a life. A text that a spreadsheet would take for a formula begins with a quote."""
    yield _line(COLUMNS)
    for life in lives:
        yield _line(tuple(_cell(value) for value in _row(server, life)))


def write_parquet(path: str, server: str, lives: Iterable[Life]) -> int:
    """Writes a file; how many lives it has. Raises PgusherError, also where pyarrow is not installed."""
    try:
        arrow, files = map(import_module, ("pyarrow", "pyarrow.parquet"))  # late: an extra
    except ImportError:
        raise PgusherError(
            "parquet files cannot be written: pyarrow is not installed", hint="pip install 'pgusher[parquet]'"
        ) from None
    time, text, number = arrow.timestamp("us", tz="UTC"), arrow.string(), arrow.int64()
    kinds: dict[str, Any] = {"pid": number, "port": number, "process": number}
    kinds |= dict.fromkeys(("backend_start", "first_seen", "gone"), time)
    schema = arrow.schema([(name, kinds.get(name, text)) for name in COLUMNS])
    written = 0
    try:
        with files.ParquetWriter(path, schema) as writer:
            for rows in _batches(server, lives):
                columns = [list(column) for column in zip(*rows, strict=True)]
                writer.write_table(arrow.table(dict(zip(COLUMNS, columns, strict=True)), schema=schema))
                written += len(rows)
    except OSError as error:
        raise PgusherError(
            f"{path}: the export could not be written: {(error.strerror or str(error)).lower()}"
        ) from None
    return written


def _batches(server: str, lives: Iterable[Life]) -> Iterator[list[tuple[Any, ...]]]:
    rows: list[tuple[Any, ...]] = []
    for life in lives:
        rows.append(_row(server, life))
        if len(rows) >= _BATCH:
            yield rows
            rows = []
    if rows:
        yield rows


def _row(server: str, life: Life) -> tuple[Any, ...]:
    return (
        server, life.holder, life.pid, _time(life.backend_start), _time(life.since), _time(life.until), life.user,
        life.database, life.application_name, life.client, life.port, life.process,
    )  # fmt: skip


def _time(at: Micros | None) -> datetime | None:
    return None if at is None else _EPOCH + timedelta(microseconds=at)


def _cell(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, datetime):
        return value.isoformat().replace("+00:00", "Z")
    text = str(value)
    # Source: OWASP, "CSV Injection". application_name is what a stranger wrote.
    return f"'{text}" if text.startswith(("=", "+", "-", "@", "\t", "\r")) else text


def _line(cells: Iterable[str]) -> str:
    out = io.StringIO()
    csv.writer(out, lineterminator="\n").writerow(cells)
    return out.getvalue()
