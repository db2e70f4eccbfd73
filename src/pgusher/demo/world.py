"""What is on the staged server: three databases, five roles, and who may come in."""

from __future__ import annotations

import os
import secrets
from typing import TYPE_CHECKING, LiteralString

from pgusher.demo.account import own_account

if TYPE_CHECKING:
    import psycopg

    from pgusher.demo.server import EmbeddedServer

DATABASES = ("shop", "mes", "report")
JOBS, API, GRAFANA = "jobs", "shop_api", "grafana"
IDLE_PERSON, BUSY_PERSON = "anna", "ben"
ROLES = (JOBS, API, GRAFANA, IDLE_PERSON, BUSY_PERSON)

SCHEMA: LiteralString = """
    create table product (id int primary key, name text not null, version text not null, price numeric not null);
    insert into product values (1, 'hinge', '7', 19.90), (2, 'bracket', '12', 4.50), (3, 'rail', '3', 11.00),
        (4, 'handle', '9', 7.25);
    create table version_history (product int not null, version int not null, at timestamptz default now());
    create table stock (product int primary key, pieces int not null, boxes int not null);
    create table stock_report (product int not null, pieces int not null, day date default current_date);
    create table measurement (machine int not null, at timestamptz not null default now(), pieces int not null);
    insert into measurement (machine, pieces) select n % 60, n from generate_series(1, 600) n;
    create index on measurement (machine);
    grant all on all tables in schema public to public;
"""
"""In every database the same."""

TROUBLE: LiteralString = """
    update product set version = '4b' where id = 3;
    insert into stock values (1, 500, 5), (2, 120, 4), (3, 80, 0), (4, 60, 2);
"""
"""In `mes` only: the version that is no number, and the boxes that cannot be divided by."""


def write_access(directory: str, server_user: str) -> dict[str, str]:
    """Files that say who may come in; the settings that name them.

    As on Debian: on the unix socket the operating system's user counts, over TCP a password. Trust would let every user
    of this host be the superuser, and with that run programs as the account of the server, which may be ours.
    """
    hba, ident = os.path.join(directory, "pg_hba.conf"), os.path.join(directory, "pg_ident.conf")
    with open(hba, "w", encoding="ascii") as file:
        file.write("local all all peer map=demo\nhost all all samehost scram-sha-256\n")
    names = {own_account().name, server_user}
    with open(ident, "w", encoding="ascii") as file:
        file.writelines(f'demo "{name}" {role}\n' for name in sorted(names) for role in ("postgres", *ROLES))
    return {"hba_file": hba, "ident_file": ident}


def write_passwords(directory: str) -> tuple[str, dict[str, str]]:
    """A random password for each role: the pgpass file with all of them, and the passwords themselves."""
    words = {role: secrets.token_urlsafe(12) for role in ROLES}
    path = os.path.join(directory, "pgpass")
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="ascii") as file:
        file.writelines(f"*:*:*:{role}:{word}\n" for role, word in words.items())
    return path, words


def connect(server: EmbeddedServer, database: str = "postgres") -> psycopg.Connection:
    """A session of the superuser. Raises psycopg.Error."""
    import psycopg

    words = f"host='{server.socket_dir}' port={server.port} user=postgres dbname={database}"
    return psycopg.connect(words, autocommit=True)


def count_sessions(server: EmbeddedServer, application: str) -> int:
    """How many sessions there are whose application_name is like that. Raises psycopg.Error."""
    with connect(server) as connection:
        statement: LiteralString = "select count(*) from pg_catalog.pg_stat_activity where application_name like %s"
        row = connection.execute(statement, (application,)).fetchone()
    return int(row[0]) if row is not None else 0


def furnish(server: EmbeddedServer, passwords: dict[str, str]) -> tuple[str, int]:
    """Make roles, databases and tables; the server's version and how many slots ordinary roles can take.

    Leaves no session open. Raises psycopg.Error.
    """
    import psycopg
    from psycopg import sql

    with connect(server) as connection:
        for role, word in passwords.items():
            connection.execute(sql.SQL("create role {} login password {}").format(sql.Identifier(role), word))
        for database in DATABASES:
            connection.execute(sql.SQL("create database {}").format(sql.Identifier(database)))
        row = connection.execute(
            "select current_setting('server_version'), current_setting('max_connections')::int"
            " - (select sum(setting::int) from pg_settings"
            "    where name in ('superuser_reserved_connections', 'reserved_connections'))"
        ).fetchone()
    for database in DATABASES:
        with connect(server, database) as connection:
            connection.execute(SCHEMA)
            if database == "mes":
                connection.execute(TROUBLE)
    if row is None:
        raise psycopg.DataError("the server did not tell its limits")
    return str(row[0]).split()[0], int(row[1])  # Debian adds its own version behind it


def credentials(role: str, port: int, pgpass: str, *, host: str = "127.0.0.1") -> dict[str, str]:
    """The environment by which libpq logs a program in as this role."""
    return {"PGHOST": host, "PGPORT": str(port), "PGUSER": role, "PGPASSFILE": pgpass}
