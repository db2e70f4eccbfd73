"""From what Grafana keeps of a data source to a `DataSource`; one reading for the API, the database and the files."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pgusher.model.grafana import TYPES, DataSource, Figure, Place
from pgusher.model.grafana_limits import IDLE, LIFETIME, OPEN, limits
from pgusher.model.redact import redact_text
from pgusher.model.text import clean
from pgusher.model.values import dataclass

_NAME = 200
_PORT = 5432


@dataclass(frozen=True, slots=True)
class Setting:
    """What stands around a data source."""

    version: str | None
    """Grafana's."""
    ini: Mapping[str, Figure]
    """As `limits` takes it."""
    origin: str = "jsonData of the data source"


def source_of(
    told: Mapping[str, Any], setting: Setting, place: Place | None = None, limit_place: Place | None = None
) -> DataSource | None:
    """The data source that these fields tell, in the words of the API; None when it is not a PostgreSQL one.

    Whatever is of another type than it should be counts as not told.
    """
    kind = told.get("type")
    if not isinstance(kind, str) or kind not in TYPES:
        return None
    inside = told.get("jsonData")
    data: Mapping[str, Any] = inside if isinstance(inside, dict) else {}
    host, port, directory = where(text(told.get("url"), 500))
    return DataSource(
        uid=text(told.get("uid")),
        name=text(told.get("name")),
        org=number(told.get("orgId")) or 1,
        type=kind,
        host=host,
        port=port,
        # Grafana takes that of jsonData, and the old place when it is empty (postgres.go: newInstanceSettings).
        database=text(data.get("database")) or text(told.get("database")),
        user=text(told.get("user")),
        limits=limits(setting.version, kind, {key: data.get(key) for key in (OPEN, IDLE, LIFETIME)}, setting.ini,
                      setting.origin),
        socket_dir=directory,
        version=number(told.get("version")),
        read_only=told.get("readOnly") is True,
        id=number(told.get("id")),
        place=place,
        limit_place=limit_place,
    )  # fmt: skip


def where(url: str) -> tuple[str | None, int, str | None]:
    """Host, port and socket directory of a data source's URL, as Grafana reads it (generateConnectionString).

    "db1:5432", "db1", "[::1]:5432", "/run/postgresql". A scheme, a user and a path are not Grafana's, and are left out.
    """
    if url.startswith("/"):
        return None, _PORT, url
    rest = url.partition("://")[2] if "://" in url else url
    rest = rest.rpartition("@")[2].partition("/")[0].partition("?")[0]
    if rest.startswith("[") and "]" in rest:
        host, _, port = rest[1:].partition("]")
        port = port.removeprefix(":")
    else:
        host, _, port = rest.partition(":")
    known = int(port) if port.isascii() and port.isdigit() and len(port) < 6 and 0 < int(port) < 65536 else _PORT
    return host or None, known, None


def text(value: object, most: int = _NAME) -> str:
    """A text of a stranger's, made harmless: redacted, on one line, not long. "" for what is none."""
    return clean(redact_text(value[:most])) if isinstance(value, str) else ""


def number(value: object) -> int | None:
    """A whole number that a database can hold."""
    return value if isinstance(value, int) and not isinstance(value, bool) and abs(value) < 1 << 63 else None
