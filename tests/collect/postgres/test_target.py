"""The words that libpq is given for what the user said."""

from __future__ import annotations

import os

import pytest

from pgusher.collect.postgres.target import Target, guard_statements, parameters, peer_parameters, shown, where
from pgusher.model.server import Server

SERVER = Server(port=5433, local=True, socket_paths=("/run/postgresql/.s.PGSQL.5433",), os_user="postgres", os_uid=101)


def given(target: Target, words: dict[str, str] | None = None, **environ: str) -> dict[str, str]:
    return dict(parameters(target, words or {}, 3.0, environ))


def test_nothing_given_is_left_to_libpq() -> None:
    pairs = given(Target())
    assert not {"host", "port", "user"} & set(pairs)
    assert (pairs["dbname"], pairs["application_name"]) == ("postgres", "pgusher")


def test_a_found_server_is_reached_by_its_socket() -> None:
    assert given(Target(server=SERVER))["host"] == "/run/postgresql"
    assert given(Target(server=SERVER))["port"] == "5433"
    # Whoever says more is heard first.
    assert given(Target(server=SERVER, host="db"))["host"] == "db"
    assert "host" not in given(Target(server=SERVER), PGHOST="db")
    assert "host" not in given(Target(server=SERVER), PGSERVICE="db")


def test_flags_stand_above_the_connection_string() -> None:
    pairs = parameters(Target(conninfo="host=a dbname=x", host="b", dbname="y"), {"host": "a", "dbname": "x"}, 3.0, {})
    assert pairs[0] == ("dbname", "host=a dbname=x")  # libpq expands the first
    assert dict(pairs[1:])["host"] == "b"
    assert dict(pairs[1:])["dbname"] == "y"


def test_no_database_is_invented_where_one_is_given() -> None:
    assert "dbname" not in dict(parameters(Target(conninfo="dbname=x"), {"dbname": "x"}, 3.0, {})[1:])
    assert "dbname" not in given(Target(), PGDATABASE="x")
    assert "dbname" not in given(Target(service="x"))


def test_settings_at_login_are_added_to_the_user_s_own() -> None:
    options = given(Target(), PGOPTIONS="-c work_mem=1MB")["options"]
    assert options.startswith("-c work_mem=1MB ")
    assert "-c default_transaction_read_only=on" in options
    assert options.endswith("-c search_path=")
    assert given(Target(conninfo="x"), {"options": "-c a=b"}, PGOPTIONS="-c work_mem=1MB")["options"].startswith(
        "-c a=b "
    )
    assert "options" not in dict(parameters(Target(), {}, 3.0, {}, guarded=False))


def test_the_guards_of_one_transaction() -> None:
    statements = guard_statements(3.0)
    assert "set local statement_timeout = '3000'" in statements
    assert "set local search_path = ''" in statements
    assert "idle_in_transaction_session_timeout" in statements


def test_nobody_s_password_file_is_read_as_the_server() -> None:
    pairs = dict(peer_parameters(SERVER, SERVER.socket_paths[0], "postgres", "postgres", 3.0))
    assert (pairs["host"], pairs["user"]) == ("/run/postgresql", "postgres")
    assert not os.path.exists(pairs["passfile"])


@pytest.mark.parametrize(
    ("server", "host"),
    [
        (SERVER, "/run/postgresql"),
        (Server(port=1, socket_paths=("@pg/.s.PGSQL.1", "/tmp/.s.PGSQL.1")), "/tmp"),
        (Server(port=1, socket_paths=("@pg/.s.PGSQL.1",)), "@pg"),
        (Server(port=1, listens=("0.0.0.0",)), "127.0.0.1"),  # noqa: S104  # what a server listens on
        (Server(port=1, listens=("::",)), "::1"),
        (Server(port=1, listens=("10.0.0.7",)), "10.0.0.7"),
    ],
)
def test_where_a_server_of_this_host_is_reached(server: Server, host: str) -> None:
    assert where(server) == host


def test_a_password_is_in_no_picture_of_a_target() -> None:
    assert "s3cret9" not in repr(Target(conninfo="host=x password=s3cret9"))
    # libpq quotes what it did not understand, which may be half of a password with a space in it.
    complaint = 'missing "=" after "s3cret9" in connection info string'
    assert "s3cret9" not in shown("password=a s3cret9", complaint)
    assert shown("hots=x", 'invalid connection option "hots"') == 'invalid connection option "hots"'


def test_whether_anything_was_given() -> None:
    assert not Target(server=SERVER).is_given({"PATH": "/bin"})
    assert Target(user="x").is_given({"PATH": "/bin"})
    assert Target().is_given({"PGHOST": "db"})
