"""The configuration: pgusher.toml, or [tool.pgusher] in pyproject.toml.

It is looked for in this order, and the first file found is the only one read: `--config FILE`, the environment's
PGUSHER_CONFIG, ./pgusher.toml, ./pyproject.toml if it has [tool.pgusher], $XDG_CONFIG_HOME/pgusher/pgusher.toml
(~/.config by default), /etc/pgusher/pgusher.toml. Nothing in it is needed.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from pgusher.client.configuration import File, find
from pgusher.errors import ConfigError
from pgusher.model.budget import Declared
from pgusher.model.values import dataclass
from pgusher.record.place import is_dsn


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
    grafana_url: str | None = None
    """`[grafana] url`."""
    grafana_token_file: str | None = None
    """`[grafana] token_file`: one token a line, one for each organisation; relative to the file's directory."""
    budgets: tuple[Declared, ...] = ()
    """`[budget.NAME]`: what a holder may take."""
    store: str | None = None
    """`store`: what `pgusher record` keeps, where that is not the usual place: a file, or a connection string."""


def load(explicit: str | None = None, *, environment: Mapping[str, str] | None = None, cwd: str = ".") -> Config:
    """The configuration of this run.

    Raises ConfigError, with the file and the key, when a file that is to be used cannot be.
    """
    found = find(explicit, environment=environment, cwd=cwd)
    return Config() if found is None else _read(found)


_KEYS = {"dsn": (str, "a string"), "crontabs": (list, "a list of strings"), "ignore": (list, "a list of strings"),
         "ratios": (dict, "a table of numbers"), "databases": (dict, "tables, as [databases.NAME]"),
         "budget": (dict, "tables, as [budget.NAME]"), "grafana": (dict, "a table of url and token_file"),
         "store": (str, "a file or a connection string")}  # fmt: skip


def _read(file: File) -> Config:
    path, table = file
    for key, value in table.items():
        if key not in _KEYS:
            hint = f"the keys are: {', '.join(sorted(_KEYS))}"
            raise ConfigError(f"{path}: unknown key {key[:40]!r}", hint=hint)
        kind, expected = _KEYS[key]
        if not isinstance(value, kind):
            raise ConfigError(f"{path}: {key}: expected {expected}")
    file.tables("databases")  # for programs (pgusher.client.named), but a mistake in them is told here, too
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
        *_grafana(path, table.get("grafana", {}), base),
        budgets=tuple(_declared(name, one, path) for name, one in file.tables("budget").items()),
        store=_store(table.get("store"), base),
    )


def _declared(name: str, table: Mapping[str, Any], path: str) -> Declared:
    from pgusher.client.named import checked_budget

    found, place = checked_budget(name, table, path)
    return Declared(
        name,
        int(found["total"]),
        int(found.get("hosts", 1)),
        int(found.get("minimum", 0)),
        str(found["holder"]) if "holder" in found else None,
        str(found["role"]) if "role" in found else None,
        place,
    )


def _grafana(path: str, table: dict[str, Any], base: str) -> tuple[str | None, str | None]:
    for key, value in table.items():
        if key not in ("url", "token_file"):
            raise ConfigError(f"{path}: unknown key grafana.{key[:40]}", hint="the keys are: token_file, url")
        if not isinstance(value, str):
            raise ConfigError(f"{path}: grafana.{key}: expected a string")
    file = table.get("token_file")
    return table.get("url"), os.path.join(base, os.path.expanduser(file)) if file else None


def _strings(path: str, table: dict[str, Any], key: str) -> list[str]:
    items: list[str] = table.get(key, [])
    for index, item in enumerate(items):
        if not isinstance(item, str):
            raise ConfigError(f"{path}: {key}[{index}]: expected a string")
    return items


def _store(told: str | None, base: str) -> str | None:
    if not told or is_dsn(told):
        return told or None
    return os.path.join(base, os.path.expanduser(told))
