"""Which server is meant, and the words that libpq is given for it."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping

from pgusher.collect.postgres.refusal import one_line
from pgusher.model.server import Server
from pgusher.model.values import dataclass, field

APPLICATION_NAME = "pgusher"
_PEOPLE_FROM = 1000
GUIDES = ("PGHOST", "PGHOSTADDR", "PGPORT", "PGUSER", "PGDATABASE", "PGSERVICE")
"""Variables by which a user says which server is meant."""


@dataclass(frozen=True, slots=True)
class Target:
    """Which server is meant. What is not given is left to libpq: its environment, service file and password file."""

    conninfo: str | None = field(default=None, repr=False)
    """A connection string or URI; it may hold a password."""
    host: str | None = None
    """Each of these stands above the same word in `conninfo`, as psql's flags do."""
    port: int | None = None
    user: str | None = None
    dbname: str | None = None
    service: str | None = None
    server: Server | None = None
    """A server that was found on this host; it says where to connect when nothing else does."""
    allow_reserved: bool = True
    """Whether a slot that is reserved for superusers may be taken when there is no other."""
    sql: bool = True
    """False to look at the process titles alone, without connecting."""

    def is_given(self, environ: Mapping[str, str] | None = None) -> bool:
        """Whether somebody said which server or role is meant, by words or by the environment."""
        words = (self.conninfo, self.host, self.port, self.user, self.dbname, self.service)
        said = os.environ if environ is None else environ
        return any(word is not None for word in words) or any(said.get(name) for name in GUIDES)


def guards(timeout: float) -> dict[str, str]:
    """What pgusher sets for its own session, so that it can neither write, nor wait, nor be fooled by a schema."""
    milliseconds = max(1, int(timeout * 1000))
    return {
        "statement_timeout": str(milliseconds),
        "lock_timeout": str(min(milliseconds, 1000)),
        "default_transaction_read_only": "on",
        "search_path": "",
    }


def guard_statements(timeout: float) -> str:
    """The same for one transaction, where a pooler does not pass on what is set at login."""
    values = guards(timeout)
    values.pop("default_transaction_read_only")  # the transaction is begun so
    # If this process is stopped between an error and the rollback, the pooler's session must not stay in it for ever.
    values["idle_in_transaction_session_timeout"] = str(max(1000, int(timeout * 2000)))
    return "; ".join(f"set local {name} = '{value}'" for name, value in values.items())


def parameters(
    target: Target,
    words: Mapping[str, str],
    timeout: float,
    environ: Mapping[str, str] | None = None,
    *,
    guarded: bool = True,
) -> list[tuple[str, str]]:
    """What libpq is given. `words`: those of `target.conninfo`.

    `guarded`: with settings at login, which a pooler may refuse. They stand in the place of a service file's `options`.
    """
    environ = os.environ if environ is None else environ
    pairs: list[tuple[str, str]] = []
    if target.conninfo is not None:
        pairs.append(("dbname", target.conninfo))  # libpq expands a connection string in the first dbname
    given = {"host": target.host, "user": target.user, "dbname": target.dbname, "service": target.service}
    given["port"] = str(target.port) if target.port is not None else None
    pairs += [(key, value) for key, value in given.items() if value is not None]
    known = {*words, *(key for key, value in pairs if value), *(_KEYS[name] for name in _KEYS if environ.get(name))}
    if target.server is not None and not known & {"host", "hostaddr", "service"}:
        pairs.append(("host", where(target.server)))
        if not trusted(target.server, environ):
            # Anybody can run something that looks like a server, and nobody said that this one is meant: it is told
            # no password. libpq ignores an empty one.
            pairs += [("password", "none"), ("passfile", "/nonexistent")]
        if "port" not in known:
            pairs.append(("port", str(target.server.port)))
    if not known & {"dbname", "service"}:
        # By default that is the role's name, and few servers have a database for each role.
        pairs.append(("dbname", "postgres"))
    # Bytes as they are: a name or query in another encoding must not make the whole answer fail.
    pairs += [("application_name", APPLICATION_NAME), ("client_encoding", "SQL_ASCII")]
    if guarded:
        settings = " ".join(f"-c {name}={value}" for name, value in guards(timeout).items())
        before = words.get("options") or environ.get("PGOPTIONS") or ""
        pairs.append(("options", f"{before} {settings}".strip()))
    return pairs


def peer_parameters(server: Server, path: str, role: str, dbname: str, timeout: float) -> list[tuple[str, str]]:
    """What libpq is given to come in over the server's own unix socket as its superuser, and nothing else."""
    settings = " ".join(f"-c {name}={value}" for name, value in guards(timeout).items())
    return [
        ("host", os.path.dirname(path)),
        ("port", str(server.port)),
        ("user", role),
        ("dbname", dbname),
        # Not that of whoever runs pgusher: nobody else's files are read with the server's identity.
        ("passfile", "/nonexistent"),
        # Nor its environment, where that would keep us out of a unix socket.
        ("target_session_attrs", "any"),
        ("channel_binding", "prefer"),
        ("gssencmode", "disable"),
        ("application_name", APPLICATION_NAME),
        ("client_encoding", "SQL_ASCII"),
        ("options", settings),
    ]


def trusted(server: Server, environ: Mapping[str, str]) -> bool:
    """Whether a server that was found may be told a password: it runs as us, or as an account of the system.

    Those have the numbers below 1000 (source: Debian Policy, 9.2.2). Who means another names it, by -h.
    """
    own = {os.geteuid()} | ({int(environ["SUDO_UID"])} if environ.get("SUDO_UID", "").isdecimal() else set())
    return server.os_uid is not None and (server.os_uid < _PEOPLE_FROM or server.os_uid in own)


def where(server: Server) -> str:
    """The host by which libpq reaches a server of this host: the directory of its socket, or an address."""
    for path in sorted(server.socket_paths, key=lambda one: one.startswith("@")):
        return os.path.dirname(path)
    wildcards = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104  # what is listened on, not what we listen on
    return next((wildcards.get(address, address) for address in server.listens), "127.0.0.1")


def complaint(conninfo: str) -> str | None:
    """What libpq has against a connection string, without its secrets; None when nothing, or when there is no libpq."""
    from pgusher.collect.postgres.libpq import LibpqMissingError, load

    try:
        load().parse(conninfo)
    except ValueError as error:
        return shown(conninfo, str(error))
    except LibpqMissingError:
        return None
    return None


def shown(conninfo: str | None, complaint: str) -> str:
    """A complaint of libpq's about a connection string, without the words that it quotes: one may be a password."""
    if conninfo is None or complaint.startswith("invalid connection option"):
        return one_line(complaint)
    return one_line(re.sub(r'"[^"]*"', '"***"', complaint))


_KEYS = {
    "PGHOST": "host",
    "PGHOSTADDR": "hostaddr",
    "PGPORT": "port",
    "PGUSER": "user",
    "PGDATABASE": "dbname",
    "PGSERVICE": "service",
}
