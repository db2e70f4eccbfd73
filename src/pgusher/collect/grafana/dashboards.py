"""The queries that a Grafana has saved, by its HTTP API: dashboards, library panels, alert rules.

Each token sees its organisation, and there what its permissions let it see: the rest is a gap. Nothing is written.
Sources: Grafana's HTTP API reference (folder/dashboard search, dashboard by uid, library elements, alerting
provisioning); an answer's shape is that of the versions from 5 to 12.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import quote

from pgusher.collect.grafana.client import Client, GrafanaError
from pgusher.collect.grafana.dashboard_json import read_alert_rule, read_dashboard, read_library_element
from pgusher.model.evidence import Gap
from pgusher.model.panels import Panel
from pgusher.model.text import clean
from pgusher.model.values import dataclass

_PAGE = 1000
_LIBRARY_PAGE = 100
_MOST = 5000
"""Dashboards, library panels and rules of one organisation that are read at most."""
WITHIN = 60.0
"""Seconds for all of them."""


@dataclass(frozen=True, slots=True)
class PanelFacts:
    """What was read of one Grafana's saved queries, and what could not be."""

    panels: tuple[Panel, ...] = ()
    dashboards: int = 0
    gaps: tuple[Gap, ...] = ()


def read_api_panels(
    client: Client, *, clock: Callable[[], float] = time.monotonic, within: float = WITHIN
) -> PanelFacts:
    """All saved queries that its tokens may see. Raises nothing: what they may not, and what is torn, is a gap."""
    reading = _Reading(client, clock, within)
    if not client.tokens:
        opens = "PGUSHER_GRAFANA_TOKEN, or --grafana-token-file FILE"
        reading.gaps.append(Gap("grafana", f"the dashboards of {client.url}", "no token was given", opens))
    for token in client.tokens:
        reading.organisation(token)
    return PanelFacts(tuple(dict.fromkeys(reading.panels)), reading.dashboards, tuple(dict.fromkeys(reading.gaps)))


class _LateError(Exception):
    """The time for all of it is over."""


class _Reading:
    def __init__(self, client: Client, clock: Callable[[], float], within: float) -> None:
        self._client = client
        self._clock = clock
        self._within = within
        self._deadline = clock() + within
        self.panels: list[Panel] = []
        self.dashboards = 0
        self.gaps: list[Gap] = []

    def organisation(self, token: str) -> None:
        try:
            told = self._get("/api/org", token)
            number = told.get("id") if isinstance(told, dict) else None
            org = number if isinstance(number, int) else 1
        except (GrafanaError, _LateError):
            org = 1  # told by no more than a number in links
        for what, permission, read in (
            ("the dashboards", "dashboards:read", self._dashboards),
            ("the library panels", "library.panels:read", self._library),
            ("the alert rules", "alert.rules:read or alert.provisioning:read", self._rules),
        ):
            try:
                read(token, org)
            except GrafanaError as error:
                opens = f"a service account with the permission {permission}" if error.status == 403 else error.opens
                if error.status != 404:  # versions before they came have none
                    self.gaps.append(Gap("grafana", f"{what} of organisation {org}", str(error), opens))
            except _LateError:
                why = f"they took longer than {self._within:.0f} s"
                self.gaps.append(Gap("grafana", f"{what} of organisation {org}, in part", why, ""))
                return

    def _get(self, path: str, token: str) -> Any:
        if self._clock() > self._deadline:
            raise _LateError
        return self._client.get(path, token)

    def _dashboards(self, token: str, org: int) -> None:
        torn: list[Gap] = []
        for hit in self._hits(token):
            uid = hit.get("uid")
            if not isinstance(uid, str) or not uid:
                continue
            try:
                told = self._get(f"/api/dashboards/uid/{quote(uid, safe='')}", token)
            except GrafanaError as error:
                torn.append(Gap("grafana", f"dashboard {clean(uid)[:40]}", str(error), error.opens))
                continue
            folder = hit.get("folderTitle")
            panels, gap = read_dashboard(
                told,
                org=org,
                folder=clean(folder)[:200] if isinstance(folder, str) else "",
                where=f"dashboard {clean(uid)[:40]}",
                uid=uid,
            )
            self.dashboards += 1
            self.panels += panels
            torn += [gap] if gap is not None else []
        self.gaps += several(torn, "dashboards")

    def _hits(self, token: str) -> Iterator[dict[str, Any]]:
        """Each dashboard of the search, page by page."""
        for page in range(1, _MOST // _PAGE + 1):
            told = self._get(f"/api/search?type=dash-db&limit={_PAGE}&page={page}", token)
            if not isinstance(told, list):
                raise GrafanaError("the answer to the search is no list: is it Grafana?")
            yield from (hit for hit in told if isinstance(hit, dict))
            if len(told) < _PAGE:
                return

    def _library(self, token: str, org: int) -> None:
        for page in range(1, _MOST // _LIBRARY_PAGE + 1):
            told = self._get(f"/api/library-elements?kind=1&perPage={_LIBRARY_PAGE}&page={page}", token)
            result = told.get("result") if isinstance(told, dict) else None
            elements = result.get("elements") if isinstance(result, dict) else None
            if not isinstance(elements, list):
                return
            for one in elements:
                self.panels += read_library_element(one, org=org)
            if len(elements) < _LIBRARY_PAGE:
                return

    def _rules(self, token: str, org: int) -> None:
        told = self._get("/api/v1/provisioning/alert-rules", token)
        for one in told[:_MOST] if isinstance(told, list) else ():
            self.panels += read_alert_rule(one, org=org)


def several(gaps: list[Gap], what: str) -> list[Gap]:
    """One gap for many of the same kind, which names the first."""
    if len(gaps) < 3:
        return gaps
    first = gaps[0]
    return [Gap("grafana", f"{len(gaps)} {what}, {first.what} among them", first.why, first.opens, len(gaps))]
