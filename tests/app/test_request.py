"""Who chooses the server: the person, or what is found."""

from __future__ import annotations

import pytest

from pgusher.app.request import Request


@pytest.mark.parametrize(
    ("request_", "environment", "named"),
    [
        (Request(), {}, False),
        (Request(user="bob", database="x"), {}, False),
        (Request(port=5433), {}, False),
        (Request(host="db"), {}, True),
        (Request(dsn="service=x"), {}, True),
        (Request(service="x"), {}, True),
        (Request(), {"PGHOST": "db"}, True),
        (Request(), {"PGSERVICE": "db"}, True),
        (Request(), {"PGHOST": "", "PGUSER": "bob"}, False),
    ],
)
def test_a_named_server_is_not_searched_for(request_: Request, environment: dict[str, str], named: bool) -> None:
    assert request_.names_a_server(environment) is named
