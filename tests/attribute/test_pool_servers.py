from __future__ import annotations

import pytest

from pgusher.attribute.pool_servers import pools_of
from pgusher.model.loans import Loan
from pgusher.model.own_pools import OwnPool
from pgusher.model.process import Host
from pgusher.model.server import Server
from pgusher.model.session import Session

HOST = Host("db1", addresses=("127.0.0.1", "::1", "10.0.0.7", "172.17.0.1"))
LOCAL = Server(5432, local=True)
REMOTE = Server(5432, host="10.0.0.9")
HERE, THERE = Session(500, backend_start=1), Session(501, backend_start=1)


def pool(name: str, address: str = "", port: int = 0, process: int = 7) -> OwnPool:
    return OwnPool(process, name, 0, 10, 1, 1, 1, 1, 1, 1, address=address, port=port)


def loan(backend: int, process: int = 7) -> Loan:
    return Loan(process, backend, 1, lent=False, since=1)


def names(server: Server, *pools: OwnPool, loans: tuple[Loan, ...] = (), host: Host = HOST) -> list[str]:
    return [one.name for one in pools_of(server, host, pools, loans, (HERE, THERE))]


@pytest.mark.parametrize("address", ["127.0.0.1", "127.0.1.1", "::1", "10.0.0.7", "/run/postgresql", "@abstract"])
def test_of_two_pools_the_one_with_the_place_of_the_server_leads_to_it(address: str) -> None:
    assert names(LOCAL, pool("here", address, 5432), pool("there", address, 5433), loans=(loan(500),)) == ["here"]
    assert names(LOCAL, pool("here", address, 5432), pool("there", "10.0.0.9", 5432)) == ["here"]


def test_a_pool_behind_a_pooler_counts_with_the_pooler_alone() -> None:
    assert names(LOCAL, pool("here", "127.0.0.1", 5432), pool("bouncer", "127.0.0.1", 6432)) == ["here"]
    assert names(LOCAL, pool("bouncer", "127.0.0.1", 6432)) == []


def test_where_a_port_is_forwarded_the_sessions_themselves_prove_it() -> None:
    both = (pool("a", "172.18.0.3", 5432), pool("b", "127.0.0.1", 15432))
    assert names(LOCAL, *both, loans=(loan(500),)) == ["a", "b"]
    assert names(LOCAL, *both, loans=(loan(99),)) == []
    assert names(LOCAL, *both, loans=(loan(500, process=8),)) == []


def test_what_does_not_tell_its_place_counts_wherever_its_process_is_seen() -> None:
    assert names(LOCAL, pool("old"), pool("there", "10.0.0.9", 5433)) == ["old"]
    assert names(LOCAL, pool("somewhere", "10.0.0.9", 5432), host=Host("db1")) == ["somewhere"]


def test_a_server_on_another_host_is_told_by_its_address_or_stays_unknown() -> None:
    assert names(REMOTE, pool("here", "10.0.0.9", 5432), pool("there", "10.0.0.9", 5433)) == ["here"]
    assert names(REMOTE, pool("other", "10.0.0.8", 5432), pool("own", "/run/postgresql", 5432)) == ["other", "own"]


def test_each_process_is_judged_by_itself() -> None:
    mine = pool("forwarded", "127.0.0.1", 15432), pool("here", "127.0.0.1", 5432, process=8)
    assert names(LOCAL, *mine, loans=(loan(500),)) == ["forwarded", "here"]
