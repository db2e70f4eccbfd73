"""One data source as Grafana has it, whole: what an update must give back, and by what it is known to be the same.

An update replaces the whole, so that all that was read is sent again. It may hold a password (versions before 8), and
is for that reason kept in memory alone: of each field no more than a digest leaves this module, and of one that may be
a secret not even that.
"""

from __future__ import annotations

import copy
import hashlib
import json
import math
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import quote

from pgusher.collect.grafana.client import Client, GrafanaError
from pgusher.model.grafana_limits import OPEN, parse_version
from pgusher.model.text import clean
from pgusher.model.values import dataclass, field

_OF_THE_ANSWER = frozenset({"accessControl", "typeLogoUrl", "typeName"})
"""Made for the one who asks: they are no part of it, and are not sent."""
_CHANGING = frozenset({"version", "updated", "created"})
_SECRET = frozenset({"password", "basicAuthPassword", "secureJsonData"})


@dataclass(frozen=True, slots=True)
class Whole:
    """A data source, and the token of its organisation."""

    path: str
    token: str = field(repr=False)
    told: Mapping[str, Any] = field(repr=False)

    @property
    def limit(self) -> str:
        """`maxOpenConns` as JSON; "" when it is not set."""
        inside = self.told.get("jsonData")
        value = inside.get(OPEN) if isinstance(inside, dict) else None
        return "" if value is None else json.dumps(value)

    @property
    def version(self) -> int:
        """Its version; 0 when it is not told."""
        value = self.told.get("version")
        return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else 0

    @property
    def fields(self) -> tuple[str, ...]:
        """Name and digest of each field but the limit and the version, sorted."""
        found = []
        for name, value in self.told.items():
            if name in _OF_THE_ANSWER | _CHANGING | _SECRET or name == "jsonData":
                continue
            found.append(f"{name}:{_digest(value)}")
        inside = self.told.get("jsonData")
        for name, value in inside.items() if isinstance(inside, dict) else ():
            if name != OPEN:
                found.append(f"jsonData.{name}:{_digest(value)}")
        return tuple(sorted(found))

    def with_limit(self, most: int | None) -> dict[str, Any]:
        """All of it with another limit, to be sent. Raises GrafanaError for what JSON cannot say again."""
        told = {name: copy.deepcopy(value) for name, value in self.told.items() if name not in _OF_THE_ANSWER}
        inside = told.get("jsonData")
        told["jsonData"] = inside if isinstance(inside, dict) else {}
        told["jsonData"].pop(OPEN, None)
        if most is not None:
            told["jsonData"][OPEN] = most
        if not _is_finite(told):
            raise GrafanaError("it holds a number that cannot be written again")
        return told


def read_whole(client: Client, org: int, uid: str, number: int | None, version: str | None) -> Whole:
    """The data source of that organisation, by the token that is of it. Raises GrafanaError."""
    at = parse_version(version)
    by_number = number is not None and (not uid or (at is not None and at < (9, 0, 0)))
    path = f"/api/datasources/{number}" if by_number else f"/api/datasources/uid/{quote(uid, safe='')}"
    first: GrafanaError | None = None
    for token in client.tokens:
        try:
            told = client.get(path, token)
        except GrafanaError as error:
            first = first if first is not None and first.status not in (401, 404) else error
            continue
        if isinstance(told, dict) and told.get("orgId", org) == org and told.get("uid", uid) == uid:
            return Whole(path, token, told)
    if first is not None:
        raise first
    opens = "PGUSHER_GRAFANA_TOKEN, or --grafana-token-file FILE"
    raise GrafanaError(f"no token is of organisation {org}" if client.tokens else "no token was given", opens=opens)


def changed(before: Iterable[str], after: Iterable[str]) -> tuple[str, ...]:
    """The names of the fields that differ between two lists of `fields`."""
    names = {pair.rpartition(":")[0] for pair in set(before) ^ set(after)}
    return tuple(sorted(clean(name)[:60] for name in names))


def _digest(value: object) -> str:
    text = json.dumps(value, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:16]


def _is_finite(value: object) -> bool:
    if isinstance(value, float):
        return math.isfinite(value)
    if isinstance(value, dict):
        return all(map(_is_finite, value.values()))
    return not isinstance(value, list) or all(map(_is_finite, value))
