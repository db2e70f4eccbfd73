"""The server's own user of the host gets in where nobody else does without a password."""

from __future__ import annotations

import os

import psycopg

from pgusher.collect.postgres import Target
from pgusher.demo.server import EmbeddedServer
from pgusher.model.server import Rung
from tests.bed.requirements import needs_root
from tests.collect.postgres.common import as_nobody, found, look


@needs_root
def test_the_server_s_own_user_is_let_in_by_peer_without_a_password() -> None:
    """The way of Debian's and most other servers: nobody else is let in without one."""
    with EmbeddedServer(auth="password", hba=("local all all peer",), max_connections=10) as server:
        if server.os_user != "postgres":
            with psycopg.connect(server.dsn(), autocommit=True) as admin:
                admin.execute(f'create role "{server.os_user}" superuser login')
        facts = look(Target(server=found(server)))
        assert (facts.view.rung, facts.view.role) == (Rung.ORDINARY, server.os_user)
        assert os.geteuid() == 0
        with as_nobody():
            nobody = look(Target(server=found(server)))
        assert nobody.view.rung is Rung.TITLES
        assert nobody.view.attempts[0].sqlstate == "28000"
