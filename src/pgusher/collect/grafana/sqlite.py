"""Data sources from Grafana's embedded database, read without leaving a trace in it.

It is opened read-only and asked for few columns, never for those that hold passwords. Where it keeps a write-ahead log
the shared memory of that is not made anew (`readonly_shm`): a file of root's beside it could keep Grafana out. The
schema is a stranger's: nothing in it may call functions, and a time limit ends what takes too long.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import quote

_COLUMNS = ("id", "org_id", "uid", "name", "type", "url", "user", "database", "version", "read_only")
_MOST = 5000
_JSON = 1 << 18
_WITHIN = 2.0


class SqliteError(Exception):
    """It could not be read. `str(error)` is the reason."""


def read(path: str, clock: Callable[[], float] = time.monotonic) -> list[Mapping[str, Any]]:
    """Its PostgreSQL data sources, in the words of the API. Raises SqliteError."""
    import sqlite3  # late: only who has such a file needs it

    try:
        return _read(sqlite3, path, clock)
    except (sqlite3.Error, OSError, ValueError, OverflowError, RecursionError) as error:
        words = str(error) or type(error).__name__
        raise SqliteError("it is locked" if "locked" in words else words.lower()[:120]) from None


def _read(sqlite3: Any, path: str, clock: Callable[[], float]) -> list[Mapping[str, Any]]:
    if not os.path.isfile(path):  # a FIFO would be waited for
        raise FileNotFoundError("no such file")
    connection = _open(sqlite3, path)
    try:
        deadline = clock() + _WITHIN
        connection.set_progress_handler(lambda: int(clock() > deadline), 10_000)
        connection.text_factory = lambda raw: raw.decode("utf-8", "backslashreplace")
        connection.execute("pragma trusted_schema = off")
        known = {row[1] for row in connection.execute("pragma table_info(data_source)")}
        if not {"type", "name", "json_data"} <= known:
            raise ValueError("it has no data sources: is it Grafana's?")
        columns = [name for name in _COLUMNS if name in known]
        listed = ", ".join(f'substr("{name}", 1, 1000)' if name in _TEXT else f'"{name}"' for name in columns)
        rows = connection.execute(
            f'select {listed}, substr("json_data", 1, {_JSON}) from data_source '  # noqa: S608 - names from the list above
            f"where type in ('postgres', 'grafana-postgresql-datasource') order by org_id, name limit {_MOST}"
        ).fetchall()
    finally:
        connection.close()
    return [_told(columns, row) for row in rows]


_TEXT = frozenset({"uid", "name", "type", "url", "user", "database"})
_WORDS = {"org_id": "orgId", "read_only": "readOnly"}


def _open(sqlite3: Any, path: str) -> Any:
    """Read-only. With a write-ahead log that nobody uses it is opened as unchanging: else a log would be made."""
    uri = f"file:{quote(path)}?mode=ro"
    log = f"{path}-wal"
    unused = _keeps_log(path) and not (os.path.exists(log) and os.path.getsize(log))
    return sqlite3.connect(
        f"{uri}&immutable=1" if unused else f"{uri}&readonly_shm=1", uri=True, timeout=1.0, isolation_level=None
    )


def _keeps_log(path: str) -> bool:
    """Whether it is in WAL mode: bytes 18 and 19 of its header are 2. Source: "Database File Format", 1.3.3."""
    with open(path, "rb") as file:
        return file.read(20)[18:20] == b"\2\2"


def _told(columns: list[str], row: tuple[Any, ...]) -> dict[str, Any]:
    told: dict[str, Any] = {_WORDS.get(name, name): value for name, value in zip(columns, row, strict=False)}
    told["readOnly"] = bool(told.get("readOnly"))
    try:
        told["jsonData"] = json.loads(row[-1]) if row[-1] else {}
    except (ValueError, TypeError, RecursionError):
        told["jsonData"] = {}
    return told


_DASHBOARDS = """select d.org_id, d.uid, coalesce(f.title, ''), d.title, substr(d.data, 1, {bytes}) from dashboard d
    left join dashboard f on f.id = d.folder_id where not d.is_folder limit {most}"""
_RESOURCES = """select case when namespace glob 'org-[0-9]*' then cast(substr(namespace, 5) as int) else 1 end, name,
    '', '', substr("value", 1, {bytes}) from resource
    where "group" = 'dashboard.grafana.app' and resource = 'dashboards' limit {most}"""
_LIBRARY = "select org_id, uid, '', name, substr(model, 1, {bytes}) from library_element where kind = 1 limit {most}"
_RULES = "select org_id, uid, '', title, substr(data, 1, {bytes}) from alert_rule limit {most}"
_SAVED = (
    ("dashboard", "dashboard", {"org_id", "uid", "title", "data", "folder_id", "is_folder"}, _DASHBOARDS),
    ("dashboard", "resource", {"group", "resource", "namespace", "name", "value"}, _RESOURCES),
    ("library panel", "library_element", {"org_id", "uid", "name", "kind", "model"}, _LIBRARY),
    ("alert rule", "alert_rule", {"org_id", "uid", "title", "data"}, _RULES),
)
"""What kind, table, the columns that it must have, the statement. Source: pkg/services/sqlstore/migrations."""


def saved(
    path: str, most: int, size: int, clock: Callable[[], float] = time.monotonic, within: float = _WITHIN
) -> list[tuple[str, int, str, str, str, str]]:
    """Kind, organisation, uid, folder, title and JSON of each dashboard, library panel and alert rule.

    Raises SqliteError.
    """
    import sqlite3  # late: only who has such a file needs it

    try:
        if not os.path.isfile(path):  # a FIFO would be waited for
            raise FileNotFoundError("no such file")
        connection = _open(sqlite3, path)
        try:
            deadline = clock() + within
            connection.set_progress_handler(lambda: int(clock() > deadline), 10_000)
            connection.text_factory = lambda raw: raw.decode("utf-8", "backslashreplace")
            connection.execute("pragma trusted_schema = off")
            found = []
            for kind, table, columns, statement in _SAVED:
                known = {row[1] for row in connection.execute(f"pragma table_info({table})")}
                if known >= columns:
                    rows = connection.execute(statement.format(bytes=size, most=most))
                    found += [_saved(kind, row) for row in rows]
            return found
        finally:
            connection.close()
    except (sqlite3.Error, OSError, ValueError, OverflowError, RecursionError) as error:
        words = str(error) or type(error).__name__
        raise SqliteError("it is locked" if "locked" in words else words.lower()[:120]) from None


def _saved(kind: str, row: tuple[Any, ...]) -> tuple[str, int, str, str, str, str]:
    org, *texts = row
    uid, folder, title, data = (
        one.decode("utf-8", "replace") if isinstance(one, bytes) else str(one or "") for one in texts
    )
    return kind, org if isinstance(org, int) else 1, uid[:200], folder[:200], title[:200], data
