"""The configuration: pgusher.toml, or [tool.pgusher] in pyproject.toml.

It is looked for in this order, and the first file found is the only one read: `--config FILE`, the environment's
PGUSHER_CONFIG, ./pgusher.toml, ./pyproject.toml if it has [tool.pgusher], $XDG_CONFIG_HOME/pgusher/pgusher.toml
(~/.config by default), /etc/pgusher/pgusher.toml. Nothing in it is needed.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from pgusher.errors import ConfigError
from pgusher.model.values import dataclass


@dataclass(frozen=True, slots=True)
class Config:
    """What the configuration may say. Every value has a default that is right for most hosts."""

    path: str | None = None
    """The file it came from; None when there was none."""
    dsn: str | None = None
    """`dsn`: the server to look at when the command names none."""
    crontabs: tuple[str, ...] = ()
    """`crontabs`: further crontab files or directories, for cron daemons that keep them elsewhere."""
    ignore: tuple[str, ...] = ()
    """`ignore`: names of rules ("stuck-job") or of findings ("stuck-job:cron/report") not to be told of."""
    ratios: tuple[tuple[str, float], ...] = ()
    """`[ratios]`: for a rule that has a threshold, another one: a share of the server's own limits."""


def load(explicit: str | None = None, *, environment: Mapping[str, str] | None = None, cwd: str = ".") -> Config:
    """The configuration of this run.

    Raises ConfigError, with the file and the key, when a file that is to be used cannot be.
    """
    given = os.environ if environment is None else environment
    explicit = explicit or given.get("PGUSHER_CONFIG") or None
    if explicit:
        return _read(explicit, _parse(explicit))
    home = given.get("XDG_CONFIG_HOME") or (os.path.join(given["HOME"], ".config") if given.get("HOME") else "")
    here = os.path.join(cwd, "pgusher.toml")
    project = os.path.join(cwd, "pyproject.toml")
    if _trusted(here, given):
        return _read(here, _parse(here))
    if _trusted(project, given) and (table := _project_table(project)) is not None:
        return _read(project, table)
    for path in (os.path.join(home, "pgusher", "pgusher.toml") if home else "", "/etc/pgusher/pgusher.toml"):
        if path and os.path.isfile(path):
            return _read(path, _parse(path))
    return Config()


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
    except OSError as error:
        raise ConfigError(f"{path}: could not be read: {(error.strerror or str(error)).lower()}") from None


_KEYS = {"dsn": (str, "a string"), "crontabs": (list, "a list of strings"), "ignore": (list, "a list of strings"),
         "ratios": (dict, "a table of numbers")}  # fmt: skip


def _read(path: str, table: dict[str, Any]) -> Config:
    for key, value in table.items():
        if key not in _KEYS:
            hint = f"the keys are: {', '.join(sorted(_KEYS))}"
            raise ConfigError(f"{path}: unknown key {key[:40]!r}", hint=hint)
        kind, expected = _KEYS[key]
        if not isinstance(value, kind):
            raise ConfigError(f"{path}: {key}: expected {expected}")
    base = os.path.dirname(os.path.abspath(path))
    crontabs = tuple(os.path.join(base, os.path.expanduser(item)) for item in _strings(path, table, "crontabs"))
    ratios = table.get("ratios", {})
    for name, value in ratios.items():
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1000:
            raise ConfigError(f"{path}: ratios.{name[:40]}: expected a number from 0 to 1000")
    return Config(
        path,
        table.get("dsn"),
        crontabs,
        tuple(_strings(path, table, "ignore")),
        tuple((name, float(value)) for name, value in ratios.items()),
    )


def _strings(path: str, table: dict[str, Any], key: str) -> list[str]:
    items: list[str] = table.get(key, [])
    for index, item in enumerate(items):
        if not isinstance(item, str):
            raise ConfigError(f"{path}: {key}[{index}]: expected a string")
    return items
