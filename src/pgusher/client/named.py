"""Databases and budgets by name.

`Database("orders")` is, in this order:

1. the environment's PGUSHER_ORDERS_DSN; for "default", and where no name is given, PGUSHER_DSN, then DATABASE_URL;
2. [databases.orders] in the configuration (`pgusher.client.configuration`): `dsn`, or libpq's own keywords, and how its
   pool is to be;
3. the service [orders] of libpq's service file (PGSERVICEFILE or ~/.pg_service.conf, and PGSYSCONFDIR).

`Budget("web")` is [budget.web]: `total`, divided by `hosts`; `minimum` and `directory` as in its constructor.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple

from pgusher.errors import ConfigError

if TYPE_CHECKING:  # a database that is named by its connection string needs no configuration
    from pgusher.client.configuration import File, Scalar

POOL = {"min_size": int, "max_size": int, "timeout": float, "max_idle": float, "long_loan": float}
"""Keys of a database that are for its pool, as in the constructor of `pgusher.Database`."""
OTHERS = {"dsn": str, "budget": str, "label": str}
"""`label` is the constructor's `service`: the keyword `service` is libpq's."""
DEFAULT = "default"

_CONNINFO = re.compile(r"\w\s*=|^[\w+.-]+://")
_SECTION = r"\s*\[([^\]]+)\]"
_BUDGET = {"total": int, "hosts": int, "minimum": int, "directory": str, "holder": str, "role": str}


class Named(NamedTuple):
    """What a name stands for."""

    name: str
    conninfo: str
    options: dict[str, Scalar]
    """For the pool; `budget` is a name."""
    place: str
    """Where it was found, for messages."""


class BudgetTable(NamedTuple):
    """A budget of the configuration."""

    total: int
    """For this host."""
    minimum: int
    directory: str | None
    place: str


def is_conninfo(text: str) -> bool:
    """Whether it is a connection string, and no name."""
    return _CONNINFO.search(text) is not None


def database(
    name: str = "", *, environment: Mapping[str, str] | None = None, cwd: str = ".", beside: str | None = None
) -> Named:
    """What a name stands for. `environment`, `cwd` and `beside` are those of the process unless given.

    Nothing at all, where no name is given either, is libpq's own defaults. Raises ConfigError, which tells where it
    was looked for, for a name that is nowhere; and with the place for what is wrong there.
    """
    given = os.environ if environment is None else environment
    wanted = name or DEFAULT
    variables = _variables(wanted)
    for variable in variables:
        if given.get(variable):
            return Named(wanted, given[variable], {}, f"${variable}")
    file = _file(given, cwd, beside)
    if file is not None and wanted in (tables := file.tables("databases")):
        return _configured(wanted, tables[wanted], file)
    services = _service_files(given)
    for path in services:
        if wanted in _sections(path):
            return Named(wanted, f"service={_quoted(wanted)}", {}, f"{path}: [{wanted}]")
    if not name:
        return Named(DEFAULT, "", {}, "libpq's defaults")
    if "@" in wanted:  # USER:PASSWORD@HOST, which is not repeated
        raise ConfigError(
            "a connection string cannot be read: it has neither a scheme nor keywords",
            hint="write it as libpq does: postgresql://USER@HOST:PORT/DATABASE",
        )
    looked = [f"${variable}", f"[databases.{wanted[:40]}] of {file.path}" if file else "no pgusher.toml was found"]
    looked += [f"[{wanted[:40]}] of {path}" for path in services]
    raise ConfigError(
        f"database {wanted[:40]!r} is not configured",
        detail=f"looked at {', '.join(looked)}",
        hint=f'set {variables[0]}, or write [databases.{wanted[:40]}] with dsn = "..." into pgusher.toml',
    )


def budget(
    name: str, *, environment: Mapping[str, str] | None = None, cwd: str = ".", beside: str | None = None
) -> BudgetTable:
    """The budget of this name for this host. Raises ConfigError."""
    given = os.environ if environment is None else environment
    file = _file(given, cwd, beside)
    tables = file.tables("budget") if file is not None else {}
    if file is None or name not in tables:
        raise ConfigError(
            f"budget {name[:40]!r} has no total",
            detail=f"[budget.{name[:40]}] is not in {file.path}" if file else "no pgusher.toml was found",
            hint=f'say it: Budget("{name[:40]}", 40), or write [budget.{name[:40]}] with total = 40 into pgusher.toml',
        )
    table, place = checked_budget(name, tables[name], file.path)
    total, hosts = int(table["total"]), int(table.get("hosts", 1))
    directory = table.get("directory")
    return BudgetTable(total // hosts, int(table.get("minimum", 0)), str(directory) if directory else None, place)


def checked_budget(name: str, table: Mapping[str, Scalar], path: str) -> tuple[dict[str, Scalar], str]:
    """A table [budget.NAME] as it may be, and its place. Raises ConfigError with the key."""
    place = f"{path}: budget.{name[:40]}"
    found = _checked(table, _BUDGET, place)
    total, hosts = int(found.get("total", 0)), int(found.get("hosts", 1))
    if total < 1 or hosts < 1:
        raise ConfigError(f"{place}: {'total' if total < 1 else 'hosts'}: expected a number from 1")
    if total < hosts:
        raise ConfigError(f"{place}: a total of {total} is not one for each of {hosts} hosts")
    if not 0 <= int(found.get("minimum", 0)) <= total:
        raise ConfigError(f"{place}.minimum: expected a number from 0 to the total of {total}")
    return found, place


def budget_names(*, environment: Mapping[str, str] | None = None, cwd: str = ".") -> tuple[str, ...]:
    """The names of all budgets of the configuration. Raises ConfigError."""
    file = _file(os.environ if environment is None else environment, cwd, None)
    return tuple(file.tables("budget")) if file is not None else ()


def _file(environment: Mapping[str, str], cwd: str, beside: str | None) -> File | None:
    from pgusher.client.configuration import find

    if beside is None:
        main = getattr(sys.modules.get("__main__"), "__file__", None)
        beside = os.path.dirname(os.path.abspath(main)) if main else None
    return find(environment=environment, cwd=cwd, beside=beside)


def _variables(name: str) -> tuple[str, ...]:
    if name == DEFAULT:
        return ("PGUSHER_DSN", "DATABASE_URL")
    return ("PGUSHER_" + re.sub(r"[^A-Z0-9]", "_", name.upper()) + "_DSN",)


def _configured(name: str, table: Mapping[str, Scalar], file: File) -> Named:
    from psycopg import pq
    from psycopg.conninfo import make_conninfo

    place = f"{file.path}: databases.{name}"
    keywords = {option.keyword.decode() for option in pq.Conninfo.get_defaults()}
    own = {key: value for key, value in table.items() if key in POOL or key in OTHERS}
    theirs = {
        key: str(int(value) if isinstance(value, bool) else value) for key, value in table.items() if key not in own
    }
    for key in theirs:
        if key not in keywords:
            hint = f"the keys are: {', '.join(sorted({*POOL, *OTHERS}))}, and libpq's, as host, port, user, dbname"
            raise ConfigError(f"{place}: unknown key {key[:40]!r}", hint=hint)
    options = _checked(own, {**POOL, **OTHERS}, place)
    dsn = str(options.pop("dsn", ""))
    if dsn and theirs:
        raise ConfigError(f"{place}: both dsn and {next(iter(theirs))}", hint="say it all in dsn, or all in keywords")
    if not dsn and not theirs:
        raise ConfigError(f"{place}: neither dsn nor a keyword of libpq")
    if "label" in options:
        options["service"] = options.pop("label")
    return Named(name, dsn or make_conninfo("", **theirs), options, place)


def _checked(table: Mapping[str, Scalar], kinds: Mapping[str, type], place: str) -> dict[str, Scalar]:
    for key, value in table.items():
        kind = kinds.get(key)
        if kind is None:
            raise ConfigError(f"{place}: unknown key {key[:40]!r}", hint=f"the keys are: {', '.join(sorted(kinds))}")
        # A bool is an int to Python; an int is as good as a float.
        right = isinstance(value, int | float if kind is float else kind) and not isinstance(value, bool)
        if kind is float and right:  # TOML has nan and inf, too
            right = 0 <= float(value) < float("inf")
        if not right:
            raise ConfigError(f"{place}.{key}: expected {_EXPECTED[kind]}")
    return dict(table)


_EXPECTED = {int: "a whole number", float: "a number of seconds", str: "a string"}


def _service_files(environment: Mapping[str, str]) -> list[str]:
    """Where libpq looks for services, but for the directory that it was compiled with (libpq-pgservice)."""
    home = environment.get("HOME")
    own = environment.get("PGSERVICEFILE") or (os.path.join(home, ".pg_service.conf") if home else "")
    system = environment.get("PGSYSCONFDIR")
    paths = [own, os.path.join(system, "pg_service.conf") if system else ""]
    return [path for path in paths if path and os.path.isfile(path)]


def _sections(path: str) -> set[str]:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return {match.group(1) for line in file if (match := re.match(_SECTION, line))}
    except OSError as error:
        raise ConfigError(f"{path}: could not be read: {(error.strerror or str(error)).lower()}") from None


def _quoted(word: str) -> str:
    return "'" + word.replace("\\", "\\\\").replace("'", "\\'") + "'"
