"""The routes: who asks, whether it may, and the answer."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from pgusher.demo.grafana_stand_in.pools import DISPOSED_AFTER, Pools
from pgusher.demo.grafana_stand_in.store import ConflictError, Source, Store

ALL = frozenset({"datasources:read", "datasources:write", "datasources:query", "dashboards:read", "alert.rules:read"})
Answer = tuple[int, Any]
Page = Callable[[int, Mapping[str, list[str]]], Answer]
"""A route that somebody adds: the organisation and the query's words in, status and JSON out."""


class StandIn:
    """A stand-in for one Grafana. Not for several threads at once but through `serving`, which lets in one by one."""

    def __init__(
        self,
        version: str = "12.1.0",
        defaults: tuple[int, int, int] = (100, 100, 14400),
        *,
        clock: Callable[[], float] = time.monotonic,
        connect: Callable[[Source], Any] | None = None,
        disposed_after: float = DISPOSED_AFTER,
    ) -> None:
        """`defaults`: what [sql_datasources] says: open, idle, lifetime in seconds.

        `connect` opens a session for a data source; `disposed_after`: seconds for which a replaced pool lives on.
        """
        self.version = version
        self.defaults = defaults
        self.store = Store(clock)
        self.pools = Pools(clock, connect, defaults[0], disposed_after)
        self.tokens: dict[str, tuple[int, frozenset[str]]] = {}
        self.dashboards: dict[tuple[int, str], dict[str, Any]] = {}
        """By organisation and uid: what /api/dashboards/uid/UID answers ({"dashboard": ..., "meta": ...})."""
        self.pages: dict[str, Page] = {}
        """Further routes by path: GET /api/library-elements, GET /api/v1/provisioning/alert-rules ..."""
        self.before_put: list[Callable[[Source], None]] = []
        """Called, each once, between what a client has read and what it writes: somebody else's hand."""
        self.asked: list[tuple[str, str]] = []
        """Each request: method and path."""

    # -- for those who stage it

    def add(self, name: str, org: int = 1, *, secrets: Mapping[str, str] | None = None, **told: Any) -> Source:
        """A data source with these fields, in the words of the API; `readOnly` and `password` as well."""
        words = {"jsonData": "json_data", "readOnly": "read_only", "isDefault": "is_default", "basicAuth": "basic_auth",
                 "basicAuthUser": "basic_auth_user", "withCredentials": "with_credentials",
                 "apiVersion": "api_version"}  # fmt: skip
        number = len(self.store.rows) + 1
        fields = {words.get(key, key): value for key, value in told.items()}
        fields.setdefault("uid", f"uid-{number}")
        return self.store.add(Source(number, org=org, name=name, secrets=dict(secrets or {}), **fields))

    def token(self, org: int = 1, permissions: Iterable[str] = ALL) -> str:
        """A token of one organisation."""
        made = f"glsa_{'standin' * 4}{len(self.tokens):04d}_0f3a9c1e"
        self.tokens[made] = (org, frozenset(permissions))
        return made

    # -- what a client sees

    def handle(self, method: str, target: str, headers: Mapping[str, str], body: bytes = b"") -> Answer:
        """One request: status and JSON."""
        parts = urlsplit(target)
        path = parts.path.rstrip("/")
        self.asked.append((method, path))
        self.pools.tick()
        if (method, path) == ("GET", "/api/health"):
            return 200, {"commit": "stand-in", "database": "ok", "version": self.version}
        scheme, _, token = headers.get("Authorization", "").partition(" ")
        if scheme != "Bearer" or token not in self.tokens:
            return 401, {"message": "Invalid API key" if token else "Unauthorized", "statusCode": 401}
        org, allowed = self.tokens[token]
        if (method, path) == ("GET", "/api/org"):
            return 200, {"id": org, "name": f"Org {org}", "address": {}}
        if (method, path) == ("GET", "/api/frontend/settings"):
            return 200, self._settings()
        if method == "GET" and path in self.pages:
            return self.pages[path](org, parse_qs(parts.query))
        if path == "/api/search" or path.startswith("/api/dashboards/uid/"):
            return self._dashboards(org, allowed, path, parse_qs(parts.query))
        if path == "/api/datasources" or path.startswith("/api/datasources/"):
            return self._data_sources(method, [unquote(word) for word in path.split("/")[3:]], org, allowed, body)
        return 404, {"message": "Not found"}

    def _settings(self) -> dict[str, Any]:
        told: dict[str, Any] = {"buildInfo": {"version": self.version, "env": "production"}}
        if self._at >= (9, 5):
            names = ("maxOpenConns", "maxIdleConns", "connMaxLifetime")
            told["sqlConnectionLimits"] = dict(zip(names, self.defaults, strict=True))
        return told

    def _dashboards(self, org: int, allowed: frozenset[str], path: str, query: Mapping[str, list[str]]) -> Answer:
        if "dashboards:read" not in allowed:
            return _refused("dashboards:read")
        if path != "/api/search":
            found = self.dashboards.get((org, unquote(path.rpartition("/")[2])))
            return (404, {"message": "Dashboard not found"}) if found is None else (200, found)
        limit, page = (int(query.get(key, [default])[0]) for key, default in (("limit", "1000"), ("page", "1")))
        hits = [
            {"uid": uid, "title": one.get("dashboard", {}).get("title", ""), "type": "dash-db", "url": f"/d/{uid}/x"}
            for (of, uid), one in sorted(self.dashboards.items())
            if of == org
        ]
        return 200, hits[(page - 1) * limit : page * limit]

    def _data_sources(self, method: str, words: list[str], org: int, allowed: frozenset[str], body: bytes) -> Answer:
        action = "write" if method == "PUT" else "query" if words[-1:] == ["health"] else "read"
        if f"datasources:{action}" not in allowed:
            return _refused(f"datasources:{action}")
        if not words:
            return (
                (200, [self._shown(row, whole=False) for row in self.store.of_org(org)]) if method == "GET" else _NONE
            )
        by_uid = words[0] == "uid" and len(words) > 1
        name, rest = (words[1], words[2:]) if by_uid else (words[0], words[1:])
        if by_uid and self._at < (9, 0):
            return _NONE  # the routes by uid are of 9.0
        number = int(name) if name.isascii() and name.isdigit() else 0
        row = self.store.find(org, uid=name) if by_uid else self.store.find(org, number=number)
        if row is None:
            return 404, {"message": "Data source not found"}
        if method == "GET" and rest == ["health"]:
            return self._health(row)
        if method == "GET" and not rest:
            return 200, self._shown(row, whole=True)
        return self._put(row, body) if method == "PUT" and not rest else _NONE

    def _put(self, row: Source, body: bytes) -> Answer:
        try:
            told = json.loads(body)
            if not all(told[key] for key in ("name", "type", "access")) or type(told.get("version") or 0) is not int:
                raise ValueError  # noqa: TRY301 - as a body that is no JSON
        except (ValueError, KeyError, TypeError):
            return 400, {"message": "bad request data"}
        while self.before_put:
            self.before_put.pop(0)(row)
        if row.read_only:
            return 403, {"message": "Cannot update read-only data source"}
        try:
            self.store.update(row, told, self._at < (8, 0))
        except ConflictError as error:
            words = "Datasource has already been updated by someone else. Please reload and try again"
            return 409, {"message": f"Failed to update datasource: {error}" if error.args else words}
        return 200, {
            "datasource": self._shown(row, whole=True),
            "id": row.id,
            "message": "Datasource updated",
            "name": row.name,
        }

    def _health(self, row: Source) -> Answer:
        try:
            self.pools.ask(row, 1)
        except Exception as error:  # noqa: BLE001 - whatever the driver says becomes the answer, as in Grafana
            return 400, {"message": str(error), "status": "ERROR"}
        return 200, {"message": "Database Connection OK", "status": "OK"}

    def _shown(self, row: Source, *, whole: bool) -> dict[str, Any]:
        told = {
            "id": row.id, "uid": row.uid, "orgId": row.org, "name": row.name, "type": row.type,
            "typeLogoUrl": "public/app/plugins/datasource/grafana-postgresql-datasource/img/postgresql_logo.svg",
            "access": row.access, "url": row.url, "user": row.user, "database": row.database,
            "basicAuth": row.basic_auth, "isDefault": row.is_default, "jsonData": json.loads(json.dumps(row.json_data)),
            "readOnly": row.read_only,
        }  # fmt: skip
        if self._at < (9, 0):
            told["password"] = row.password if self._at < (8, 0) else ""
        if not whole:
            return {**told, "typeName": "PostgreSQL"}
        told |= {
            "basicAuthUser": row.basic_auth_user, "withCredentials": row.with_credentials, "version": row.version,
            "secureJsonFields": {key: True for key, value in row.secrets.items() if value},
        }  # fmt: skip
        return {**told, "apiVersion": row.api_version} if self._at >= (11, 0) else told

    @property
    def _at(self) -> tuple[int, int]:
        major, minor = self.version.split(".")[:2]
        return int(major), int(minor)


_NONE: Answer = (404, {"message": "Not found"})


def _refused(permission: str) -> Answer:
    words = f"You'll need additional permissions to perform this action. Permissions needed: {permission}"
    return 403, {"accessErrorId": "ACE0000000000", "message": words, "title": "Access denied"}
