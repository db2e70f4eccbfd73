"""The table of data sources, as Grafana's store keeps it."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

KIND = "grafana-postgresql-datasource"


class ConflictError(Exception):
    """Somebody else has updated it."""


@dataclass
class Source:
    """One row."""

    id: int
    uid: str
    org: int
    name: str
    type: str = KIND
    access: str = "proxy"
    url: str = ""
    user: str = ""
    database: str = ""
    password: str = ""
    """In plain text, as versions before 8 could have it."""
    basic_auth: bool = False
    basic_auth_user: str = ""
    with_credentials: bool = False
    is_default: bool = False
    json_data: dict[str, Any] = field(default_factory=dict)
    secrets: dict[str, str] = field(default_factory=dict)
    read_only: bool = False
    api_version: str = ""
    version: int = 1
    updated: float = 0.0


class Store:
    """All rows of all organisations."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self.rows: dict[int, Source] = {}

    def add(self, source: Source) -> Source:
        """Keep a new one."""
        source.updated = self._clock()
        self.rows[source.id] = source
        return source

    def of_org(self, org: int) -> list[Source]:
        """Those of one organisation, by name."""
        return sorted((row for row in self.rows.values() if row.org == org), key=lambda row: row.name.lower())

    def find(self, org: int, *, uid: str | None = None, number: int | None = None) -> Source | None:
        """One of them; None when that organisation has none such."""
        for row in self.rows.values():
            if row.org == org and (row.uid == uid if uid is not None else row.id == number):
                return row
        return None

    def update(self, row: Source, told: Mapping[str, Any], plain_password: bool) -> Source:
        """Replace a row by what a PUT says, as UpdateDataSource in store.go does. Raises ConflictError.

        What is not told is its type's zero. Written even so are: user, database, password, secrets (MustCols), the
        truth values (UseBool) and jsonData; the other columns keep their value, as xorm leaves out what is zero.
        """
        version = told.get("version") or 0
        # The condition is "version < version + 1", and none at all for 0: a higher one than the row's overwrites, too.
        if version and row.version > version:
            raise ConflictError
        if any(one is not row and one.name == told["name"] for one in self.of_org(row.org)):
            raise ConflictError("data source with the same name already exists")
        row.name, row.type, row.access = told["name"], told["type"], told["access"]
        row.url = told.get("url") or row.url
        row.uid = told.get("uid") or row.uid
        row.basic_auth_user = told.get("basicAuthUser") or row.basic_auth_user
        row.user = told.get("user") or ""
        row.database = told.get("database") or ""
        row.password = (told.get("password") or "") if plain_password else ""
        row.basic_auth = bool(told.get("basicAuth"))
        row.with_credentials = bool(told.get("withCredentials"))
        row.is_default = bool(told.get("isDefault"))
        row.api_version = told.get("apiVersion") or ""
        row.json_data = copy.deepcopy(told.get("jsonData") or {})
        row.secrets = {**row.secrets, **(told.get("secureJsonData") or {})}  # fillWithSecureJSONData
        row.version = version + 1
        row.updated = self._clock()
        if row.is_default:
            for other in self.of_org(row.org):
                other.is_default = other is row
        return row
