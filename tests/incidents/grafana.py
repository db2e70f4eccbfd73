"""Grafanas set to what hurts: their data sources as the stand-in for Grafana's API tells them, read by the client.

No Grafana is here: what one is set to comes over HTTP from the stand-in; the sessions are those of a world. Its own
tables' pool is in no API, but in grafana.ini: that one is written into the world.
"""

from __future__ import annotations

from typing import Any

from pgusher.collect.grafana.api import read_api
from pgusher.collect.grafana.client import Access, Client
from pgusher.demo.grafana_stand_in import StandIn, serving
from pgusher.diagnose.engine import diagnose
from pgusher.model.findings import Diagnosis
from pgusher.model.grafana import Grafana
from pgusher.model.values import replace
from tests.diagnose.worlds import World
from tests.incidents.incident import INNOCENT, Incident
from tests.incidents.worlds import GRAFANA, ORDERS

Told = dict[str, Any]


def asked(version: str, sources: tuple[Told, ...]) -> Grafana:
    """What the client reads of a stand-in with these data sources; `org` is the organisation of one."""
    made = StandIn(version)
    for told in sources:
        fields = {"url": "localhost:5432", "user": "grafana", **told}
        made.add(fields.pop("name"), fields.pop("org", 1), **fields)
    tokens = tuple(made.token(org) for org in sorted({told.get("org", 1) for told in sources}))
    with serving(made) as url:
        found = read_api(Client(Access(url, tokens)))
    assert found.gaps == ()
    return found


def diagnosed(text: str, version: str, sources: tuple[Told, ...]) -> Diagnosis:
    """What is said of a world with that Grafana."""
    snapshot = World(text).snapshot()
    facts = replace(snapshot.facts, grafana=(asked(version, sources),) if sources else snapshot.facts.grafana)
    return diagnose(replace(snapshot, facts=facts), strict=True)


def _of(
    name: str, about: str, text: str, *sources: Told, version: str = "12.1.0", also: tuple[str, ...] = ()
) -> Incident:
    causes = () if about is INNOCENT else (about,)
    return Incident(f"stand-in: {name}", about, causes, lambda: diagnosed(text, version, sources), also=also)


def source(name: str = "Shop", org: int = 1, user: str = "grafana", **data: Any) -> Told:
    """A data source for the world's server, in the words of the API."""
    return {"name": name, "org": org, "user": user, "jsonData": {"database": "shop", **data}}


AT_WORK = f"""
slots = 100
{GRAFANA}sessions = [{{ count = 4, user = "grafana", state = "active" }}]
"""
HOARDS = f"""
slots = 100
{GRAFANA}sessions = [{{ count = 60, user = "grafana", idle = "1h" }}]
"""
OWN = f"""
slots = 100
[[grafana]]
sources = [{{ name = "Shop", open = 10, user = "shop" }}]
own = {{ OWN }}
{GRAFANA}sessions = [{{ count = 4, user = "grafana", state = "active" }}]
"""
INCIDENTS = (
    _of(
        "a data source at its default, of which sixty sessions are idle",
        "grafana-default-limit",
        HOARDS,
        source(),
        also=("grafana-sources-exceed-slots", "one-holder-takes-all", "grafana-idle-hoard"),
    ),
    _of(
        "a shop and a till that may take more than there is",
        "grafana-sources-exceed-slots",
        AT_WORK,
        source(maxOpenConns=60, maxIdleConns=2),
        source("Till", user="till", maxOpenConns=50, maxIdleConns=2),
    ),
    _of(
        "a data source of 9.4 that has no limit, as that version has none",
        "grafana-sources-exceed-slots",
        AT_WORK,
        source(),
        version="9.4.0",
    ),
    _of(
        "sessions that are kept for ever",
        "grafana-endless-sessions",
        AT_WORK,
        source(maxOpenConns=10, maxIdleConns=2, connMaxLifetime=0),
    ),
    _of(
        "as many idle ones as may be open",
        "grafana-idle-hoard",
        AT_WORK,
        source(maxOpenConns=40, maxIdleConns=40),
    ),
    _of(
        "one database with a data source in each of two organisations",
        "grafana-same-server-twice",
        AT_WORK,
        source(maxOpenConns=10, maxIdleConns=2),
        source("Shop (copy)", 2, maxOpenConns=10, maxIdleConns=2),
    ),
    _of(
        "its own tables on the server, with no limit",
        "grafana-own-pool-unlimited",
        OWN.replace("{ OWN }", '{ host = "localhost:5432" }'),
    ),
)
HEALTHY = (
    _of(
        "a limit of ten, two idle, four hours",
        INNOCENT,
        AT_WORK,
        source(maxOpenConns=10, maxIdleConns=2, connMaxLifetime=14400),
    ),
    _of(
        "two data sources for two roles, and one for another server, beside a back end",
        INNOCENT,
        f"{AT_WORK}{ORDERS}sessions = [{{ count = 6, idle = '2s' }}]\n",
        source(maxOpenConns=8, maxIdleConns=2),
        source("Till", user="till", maxOpenConns=8, maxIdleConns=2),
        {**source("Elsewhere"), "url": "db9:5432"},
    ),
    _of(
        "its own tables on the server, with a limit",
        INNOCENT,
        OWN.replace("{ OWN }", '{ host = "localhost:5432", open = 10 }'),
    ),
)
