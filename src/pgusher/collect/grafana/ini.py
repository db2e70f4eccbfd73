"""grafana.ini, with what the command line and the environment say over it. Passwords are not kept.

Sources: "Configure Grafana", and pkg/setting: custom.ini below the home path, `cfg:` words of the command line, and
GF_SECTION_KEY of the environment. What stands above what: `cfg:default.`, the file, the environment, `cfg:`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from pgusher.collect.grafana.sources import text, where
from pgusher.model.grafana import Figure, OwnDatabase
from pgusher.model.grafana_limits import INI, unread
from pgusher.model.values import dataclass

WANTED: dict[str, tuple[str, ...]] = {
    "sql_datasources": ("max_open_conns_default", "max_idle_conns_default", "max_conn_lifetime_default"),
    "database": ("type", "host", "name", "user", "url", "path", "max_open_conn", "max_idle_conn", "conn_max_lifetime"),
    "paths": ("data", "provisioning"),
    "server": ("root_url", "http_port", "protocol"),
}
"""All that is taken of it."""
ENVIRONMENT = {f"GF_{section}_{key}".upper(): (section, key) for section, keys in WANTED.items() for key in keys}
"""Names of the environment that are read, and no others."""
HOMES = {"GF_PATHS_HOME": "homepath", "GF_PATHS_CONFIG": "config"}
"""What the image's entry point makes options of."""

_LINE = re.compile(r"\s*([^=:\s]+)\s*[=:]\s*(.*?)\s*")


@dataclass(frozen=True, slots=True)
class Value:
    """One value, and where it stands."""

    value: str
    place: str
    """ "/etc/grafana/grafana.ini:12", "GF_DATABASE_TYPE in the environment", "the command line"."""
    line: int = 0


_JSON = {name: key for key, name in INI.items()}

Ini = Mapping[tuple[str, str], Value]


def read_file(content: str, path: str) -> dict[tuple[str, str], Value]:
    """What the file sets, by section and key. What is no setting is passed over."""
    found: dict[tuple[str, str], Value] = {}
    section = ""
    for number, line in enumerate(content.splitlines(), 1):
        word = line.strip()
        if word.startswith("[") and word.endswith("]"):
            section = word[1:-1].strip()
            continue
        match = None if word.startswith((";", "#")) else _LINE.fullmatch(word)
        if match is None or match[1] not in WANTED.get(section, ()):
            continue
        found[section, match[1]] = Value(_unquoted(match[2]), f"{path}:{number}", number)
    return found


def settings(
    content: str, path: str, words: Mapping[str, str], environment: Mapping[str, str]
) -> dict[tuple[str, str], Value]:
    """What counts. `words`: the options of the command line, by name ("cfg:default.paths.data")."""
    told = {**_of_words(words, "cfg:default."), **read_file(content, path)}
    for name, key in ENVIRONMENT.items():
        if name in environment:
            told[key] = Value(environment[name], f"{name} in the environment")
    return told | _of_words(words, "cfg:")


def options(argv: Iterable[str]) -> dict[str, str]:
    """The options of Grafana's command line, by name without dashes."""
    found: dict[str, str] = {}
    words = list(argv)
    for at, word in enumerate(words):
        name, mark, value = word.lstrip("-").partition("=")
        if not mark and word.startswith("-") and at + 1 < len(words):
            value = words[at + 1]
        if value:
            found.setdefault(name, value)
    return found


def defaults(ini: Ini) -> dict[str, Figure]:
    """What [sql_datasources] says, as `limits` takes it."""
    found = {}
    for key in WANTED["sql_datasources"]:
        told = ini.get(("sql_datasources", key))
        value = _whole(told)
        if told is not None and value is not None:
            found[key] = Figure(value, f"{key} in {told.place}")
        elif told is not None and "$" in told.value:  # $__env{NAME}, $__file{PATH}, ${NAME}: Grafana's own expansion
            found[key] = unread(_JSON[key], f"{key} in {told.place} is set by a variable")
    return found


def own_database(ini: Ini) -> OwnDatabase | None:
    """The pool for Grafana's own tables; None when those are not in PostgreSQL.

    Defaults (conf/defaults.ini): no limit, 2 idle, 4 hours. Source: pkg/services/sqlstore/database_config.go.
    """
    told = {key: ini.get(("database", key)) for key in WANTED["database"]}
    url = told["url"].value if told["url"] is not None else ""
    kind = url.partition("://")[0] if url else told["type"].value if told["type"] is not None else "sqlite3"
    if kind not in ("postgres", "postgresql"):
        return None
    host, port, directory = where(text(url or _word(told["host"]) or "127.0.0.1:5432", 500))
    name, user = _word(told["name"]) or "grafana", _word(told["user"])
    if url:
        rest = url.partition("://")[2]
        name = rest.partition("/")[2].partition("?")[0] or name
        user = rest.rpartition("@")[0].partition(":")[0] or user
    return OwnDatabase(
        host,
        port,
        text(name),
        text(user),
        _figure(told["max_open_conn"], 0, none=True),
        _figure(told["max_idle_conn"], 2, none=False),
        _figure(told["conn_max_lifetime"], 14400, none=True),
        directory,
    )


def _of_words(words: Mapping[str, str], prefix: str) -> dict[tuple[str, str], Value]:
    found = {}
    for word, value in words.items():
        section, dot, key = word.removeprefix(prefix).rpartition(".")
        if word.startswith(prefix) and dot and key in WANTED.get(section, ()):
            found[section, key] = Value(value, "the command line")
    return found


def _word(value: Value | None) -> str:
    return "" if value is None else value.value


def _whole(value: Value | None) -> int | None:
    word = _word(value)
    return int(word) if re.fullmatch(r"-?[0-9]{1,9}", word) else None


def _figure(value: Value | None, usual: int, *, none: bool) -> Figure:
    number = _whole(value)
    if value is None or number is None:
        return Figure(usual if usual or not none else None, "default of [database] in grafana.ini", True)
    return Figure(number if number > 0 or not none else None, value.place)


def _unquoted(value: str) -> str:
    for quote in ('"""', '"', "'", "`"):
        if len(value) >= 2 * len(quote) and value.startswith(quote) and value.endswith(quote):
            return value[len(quote) : -len(quote)]
    return value
