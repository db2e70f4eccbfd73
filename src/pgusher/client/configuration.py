"""Where the configuration is: pgusher.toml, or [tool.pgusher] in pyproject.toml. One search for tools and programs.

The first file found is the only one read: the file that was named, the environment's PGUSHER_CONFIG, ./pgusher.toml,
./pyproject.toml if it has [tool.pgusher], $XDG_CONFIG_HOME/pgusher/pgusher.toml (~/.config by default),
/etc/pgusher/pgusher.toml. Nothing in it is needed.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any, NamedTuple

from pgusher.errors import ConfigError

Scalar = str | int | float | bool


class File(NamedTuple):
    """A configuration file as it was read."""

    path: str
    table: dict[str, Any]

    def tables(self, key: str) -> dict[str, dict[str, Scalar]]:
        """The tables [key.NAME], each with plain values only. Raises ConfigError with the place."""
        found = self.table.get(key, {})
        if not isinstance(found, dict):
            raise ConfigError(f"{self.path}: {key}: expected tables, as [{key}.NAME]")
        for name, table in found.items():
            if not isinstance(table, dict):
                raise ConfigError(f"{self.path}: {key}.{name[:40]}: expected a table, as [{key}.{name[:40]}]")
            for word, value in table.items():
                if not isinstance(value, str | int | float):
                    raise ConfigError(f"{self.path}: {key}.{name[:40]}.{word[:40]}: expected a string or a number")
        return found


def find(
    explicit: str | None = None,
    *,
    environment: Mapping[str, str] | None = None,
    cwd: str = ".",
    beside: str | None = None,
) -> File | None:
    """The configuration file of this run; None when there is none.

    `beside`: a further directory, looked at after `cwd`: that of a script, as cron starts it elsewhere. Raises
    ConfigError, with the file, when a file that is to be used cannot be.
    """
    given = os.environ if environment is None else environment
    explicit = explicit or given.get("PGUSHER_CONFIG") or None
    if explicit:
        return File(explicit, _parse(explicit))
    home = given.get("XDG_CONFIG_HOME") or (os.path.join(given["HOME"], ".config") if given.get("HOME") else "")
    for directory in (cwd, beside):
        if directory is None:
            continue
        here = os.path.join(directory, "pgusher.toml")
        project = os.path.join(directory, "pyproject.toml")
        if _trusted(here, given):
            return File(here, _parse(here))
        if _trusted(project, given) and (table := _project_table(project)) is not None:
            return File(project, table)
    for path in (os.path.join(home, "pgusher", "pgusher.toml") if home else "", "/etc/pgusher/pgusher.toml"):
        if path and os.path.isfile(path):
            return File(path, _parse(path))
    return None


def _trusted(path: str, environment: Mapping[str, str]) -> bool:
    """A file of the current directory counts only if it is ours: root must not obey whoever owns /tmp."""
    try:
        owner = os.stat(path).st_uid
    except OSError:
        return False
    ours = {0, os.geteuid()}
    if environment.get("SUDO_UID", "").isdecimal():
        ours.add(int(environment["SUDO_UID"]))
    return owner in ours


def _project_table(path: str) -> dict[str, Any] | None:
    try:
        with open(path, "rb") as file:
            if b"tool.pgusher" not in file.read():
                return None
    except OSError:
        return None
    tool = _parse(path).get("tool")
    table = tool.get("pgusher") if isinstance(tool, dict) else None
    return table if isinstance(table, dict) else None


def _parse(path: str) -> dict[str, Any]:
    import tomllib  # late: most runs have no file, and a cold command has no time to spare

    try:
        with open(path, "rb") as file:
            return tomllib.load(file)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{path}: cannot be read as TOML", detail=str(error)) from None
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: not UTF-8 at byte {error.start}") from None
    except (ValueError, RecursionError):  # a number of thousands of digits; brackets in brackets without end
        detail = "a number is too long, or it is nested too deep"
        raise ConfigError(f"{path}: cannot be read as TOML", detail=detail) from None
    except OSError as error:
        raise ConfigError(f"{path}: could not be read: {(error.strerror or str(error)).lower()}") from None
