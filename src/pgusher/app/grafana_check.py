"""The contract: what pgusher relies on of Grafana's API, asked of a Grafana point by point.

Read-only unless a data source is named for the points that write: that one is sent back to Grafana as it is, with its
own limit, and once more with a version that is too old, which must be refused.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import StrEnum
from typing import Any
from urllib.parse import quote

from pgusher.collect.grafana.client import Client, GrafanaError
from pgusher.collect.grafana.whole import Whole, changed, read_whole
from pgusher.model.grafana import TYPES
from pgusher.model.grafana_limits import parse_version
from pgusher.model.text import clean
from pgusher.model.values import dataclass


class Outcome(StrEnum):
    """What came of a point."""

    HOLDS = "holds"
    DIFFERS = "differs"
    NOT_ASKED = "not asked"


@dataclass(frozen=True, slots=True)
class Point:
    """One point of the contract."""

    point: str
    outcome: Outcome
    text: str
    """What was seen."""


class Contract:
    """One run against one Grafana."""

    def __init__(self, client: Client, write: str | None = None) -> None:
        """`write`: the uid of a data source that may be sent back as it is."""
        self._client = client
        self._write = write
        self._points: list[Point] = []
        self.version: str | None = None
        self._listed: list[tuple[str, Mapping[str, Any]]] = []
        self._wholes: list[Whole] = []

    def run(self) -> tuple[Point, ...]:
        """All points. Raises nothing: what goes wrong is a point that differs."""
        self._ask("GET /api/health tells the version, without a token", self._health)
        self._ask("each token is of one organisation", self._orgs)
        self._ask("the list has all but the version and secureJsonFields", self._list)
        self._ask("a data source by its own route has version, readOnly and secureJsonFields", self._whole)
        self._ask("no answer has a password", self._passwords)
        self._ask("from 9.5 on /api/frontend/settings has sqlConnectionLimits", self._limits)
        self._ask("a data source of another organisation is not found", self._other)
        self._ask("its health check answers", self._check_health)
        self._ask("an update with all that was read changes nothing but the version", self._same)
        self._ask("an update with a version that is too old is refused with 409", self._stale)
        return tuple(self._points)

    def _ask(self, name: str, question: Callable[[], tuple[Outcome, str]]) -> None:
        try:
            outcome, text = question()
        except GrafanaError as error:
            outcome, text = Outcome.DIFFERS, str(error)
        self._points.append(Point(name, outcome, text))

    def _health(self) -> tuple[Outcome, str]:
        told = self._client.get("/api/health")
        self.version = clean(str(told.get("version") or ""))[:40] if isinstance(told, dict) else None
        if parse_version(self.version) is None:
            return Outcome.DIFFERS, "it tells none"
        return Outcome.HOLDS, f"version {self.version}"

    def _orgs(self) -> tuple[Outcome, str]:
        if not self._client.tokens:
            return Outcome.NOT_ASKED, "no token was given"
        told = [self._client.get("/api/org", token) for token in self._client.tokens]
        orgs = [one.get("id") if isinstance(one, dict) else None for one in told]
        return _of(all(type(one) is int for one in orgs), f"organisations {clean(', '.join(map(str, orgs)))[:80]}")

    def _list(self) -> tuple[Outcome, str]:
        for token in self._client.tokens:
            told = self._client.get("/api/datasources", token)
            if not isinstance(told, list):
                return Outcome.DIFFERS, "the answer is no list"
            self._listed += [(token, one) for one in told if isinstance(one, dict) and _is_postgres(one)]
        if not self._listed:
            return Outcome.NOT_ASKED, "there is no PostgreSQL data source"
        wanted = {"uid", "orgId", "name", "type", "url", "user", "database", "jsonData", "readOnly"}
        missing = {name for _, one in self._listed for name in wanted - one.keys()}
        more = {name for _, one in self._listed for name in {"version", "secureJsonFields"} & one.keys()}
        said = f"{len(self._listed)} PostgreSQL data sources"
        said += f", without {', '.join(sorted(missing))}" if missing else ""
        said += f", with {', '.join(sorted(more))}" if more else ""
        return _of(not missing and not more, said)

    def _whole(self) -> tuple[Outcome, str]:
        for _, one in self._listed:
            self._wholes.append(self._read(one))
        if not self._wholes:
            return Outcome.NOT_ASKED, "there is no PostgreSQL data source"
        missing = {
            name for one in self._wholes for name in {"version", "readOnly", "secureJsonFields"} - one.told.keys()
        }
        return _of(
            not missing, f"{len(self._wholes)} read" + (f", without {', '.join(sorted(missing))}" if missing else "")
        )

    def _passwords(self) -> tuple[Outcome, str]:
        told = [one for _, one in self._listed] + [one.told for one in self._wholes]
        if not told:
            return Outcome.NOT_ASKED, "there is no PostgreSQL data source"
        shown = sorted({name for one in told for name in _SECRETS & one.keys() if one[name]})
        return _of(not shown, f"{', '.join(shown)} is shown: kept in memory alone" if shown else "none is shown")

    def _limits(self) -> tuple[Outcome, str]:
        at = parse_version(self.version)
        if not self._client.tokens or (at is not None and at < (9, 5, 0)):
            return Outcome.NOT_ASKED, "no token, or an older version"
        told = self._client.get("/api/frontend/settings", self._client.tokens[0])
        inside = told.get("sqlConnectionLimits") if isinstance(told, dict) else None
        limits: Mapping[str, Any] = inside if isinstance(inside, dict) else {}
        names = ("maxOpenConns", "maxIdleConns", "connMaxLifetime")
        holds = all(type(limits.get(name)) is int for name in names)
        return _of(holds, ", ".join(f"{name} {limits[name]}" for name in names) if holds else "they are not there")

    def _other(self) -> tuple[Outcome, str]:
        orgs = {str(one.get("orgId")) for _, one in self._listed}
        if len(orgs) < 2:
            return Outcome.NOT_ASKED, "the tokens are of one organisation"
        crossed = 0
        for token, one in self._listed:
            for other, seen in self._listed:
                if seen.get("orgId") == one.get("orgId") or any(
                    mine.get("uid") == one.get("uid") for owner, mine in self._listed if owner == other
                ):
                    continue
                try:
                    self._client.get(f"/api/datasources/uid/{quote(str(one.get('uid')), safe='')}", other)
                except GrafanaError as error:
                    if error.status not in (403, 404):
                        raise  # it says nothing of who sees what
                else:
                    crossed += token != other
        return _of(not crossed, f"{crossed} were found with a token of another" if crossed else "none was")

    def _check_health(self) -> tuple[Outcome, str]:
        if not self._wholes:
            return Outcome.NOT_ASKED, "there is no PostgreSQL data source"
        whole = self._wholes[0]
        try:
            told = self._client.get(f"{whole.path}/health", whole.token)
        except GrafanaError as error:
            return _of(error.status == 400, str(error))  # the data source has a fault, and the route says so
        return _of(isinstance(told, dict) and told.get("status") == "OK", clean(str(told.get("message")))[:80])

    def _same(self) -> tuple[Outcome, str]:
        whole = self._written()
        if whole is None:
            return Outcome.NOT_ASKED, "it writes: --write UID"
        self._client.put(whole.path, whole.token, dict(whole.told))
        after = self._read(whole.told)
        lost = changed(whole.fields, after.fields)
        if lost or after.limit != whole.limit:
            return Outcome.DIFFERS, f"changed: {', '.join(lost) or 'the limit'}"
        return _of(after.version == whole.version + 1, f"version {whole.version} became {after.version}")

    def _stale(self) -> tuple[Outcome, str]:
        whole = self._written()
        if whole is None:
            return Outcome.NOT_ASKED, "it writes: --write UID"
        if whole.version < 2:
            return Outcome.NOT_ASKED, f"it has version {whole.version}, and none is older"
        try:
            self._client.put(whole.path, whole.token, {**whole.told, "version": whole.version - 1})
        except GrafanaError as error:
            return _of(error.status == 409, str(error))
        return Outcome.DIFFERS, "it was taken: another's change can be overwritten unseen"

    def _written(self) -> Whole | None:
        if self._write is None:
            return None
        mine = next((one for _, one in self._listed if self._write in (one.get("uid"), one.get("name"))), None)
        if mine is None:
            raise GrafanaError(f"there is no data source {clean(self._write)[:40]}")
        return self._read(mine)

    def _read(self, told: Mapping[str, Any]) -> Whole:
        """That data source as its own route has it. Raises GrafanaError."""
        org, uid, number = told.get("orgId"), told.get("uid") or "", told.get("id")
        if type(org) is not int or not isinstance(uid, str):
            raise GrafanaError("a data source has no organisation or no uid")
        return read_whole(self._client, org, uid, number if type(number) is int else None, self.version)


def _is_postgres(told: Mapping[str, Any]) -> bool:
    kind = told.get("type")
    return isinstance(kind, str) and kind in TYPES


_SECRETS = {"password", "basicAuthPassword", "secureJsonData"}


def _of(holds: bool, text: str) -> tuple[Outcome, str]:
    return (Outcome.HOLDS if holds else Outcome.DIFFERS), text
