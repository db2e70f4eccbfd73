"""Which server a data source means."""

from __future__ import annotations

import pytest

from pgusher.model.grafana import DataSource, Grafana, Seen
from pgusher.model.grafana_limits import limits
from pgusher.model.grafana_servers import points_at, server_of, sources_of
from pgusher.model.values import replace
from tests.surfaces import worlds

QUIET = worlds.quiet()
FACTS = replace(
    QUIET.facts,
    server=replace(
        QUIET.facts.server, host=None, port=5432, local=True, socket_paths=("/run/postgresql/.s.PGSQL.5432",)
    ),
    host=replace(QUIET.facts.host, name="db1", addresses=("10.0.0.1", "127.0.0.1")),
)
ELSEWHERE = replace(FACTS, server=replace(FACTS.server, host="db9.example", local=False, socket_paths=()))


def source(host: str | None, port: int = 5432, directory: str | None = None, user: str = "u") -> DataSource:
    found = limits("12.0.0", "postgres", {}, {})
    return DataSource("u", "Shop", 1, "postgres", host, port, "d", user, found, directory)


@pytest.mark.parametrize(
    ("one", "here", "elsewhere"),
    [
        (source("localhost"), True, False),
        (source("127.0.0.1"), True, False),
        (source("10.0.0.1"), True, False),
        (source("DB1"), True, False),
        (source("::1"), True, False),
        (source("localhost", 5433), False, False),
        (source("db9.example"), None, True),
        (source("10.0.0.2"), None, None),
        (source(None), None, None),
        (source(None, directory="/run/postgresql"), True, False),
        (source(None, directory="/run/postgresql/"), True, False),
        (source(None, directory="/tmp"), False, False),
    ],
)
def test_by_its_address(one: DataSource, here: bool | None, elsewhere: bool | None) -> None:
    assert points_at(one, FACTS) is here
    assert points_at(one, ELSEWHERE) is elsewhere


def test_where_the_address_does_not_tell_sessions_do() -> None:
    session = replace(QUIET.slot_sessions[0], user="graf", database="d")
    snapshot = replace(QUIET, facts=replace(FACTS, sessions=(session,)))
    known, other, local = source("10.0.0.2", user="graf"), source("10.0.0.2"), source("localhost")
    grafana = Grafana("g", None, Seen.API, (known, other, local))
    assert sources_of(grafana, snapshot) == (known, local)
    far = replace(QUIET, facts=ELSEWHERE)
    assert server_of((far, snapshot), (grafana,)) is snapshot
    assert server_of((), (grafana,)) is None
