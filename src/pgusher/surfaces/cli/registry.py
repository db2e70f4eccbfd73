"""The commands there are. Adding one: a file here with its COMMAND, and its name below."""

from __future__ import annotations

from pgusher.surfaces.cli.options import Command

NAMES = (
    "who", "why", "free", "undo-help", "budget", "watch", "record", "history", "serve", "run", "jobs", "cron",
    "grafana", "explain", "rules", "report", "doctor", "demo", "schema", "completion",
)  # fmt: skip
"""As help lists them. The bare command is ""."""


def command(name: str) -> Command:
    """The command of that name. Its module is imported now: a run pays for one command only."""
    from importlib import import_module

    found: Command = import_module(f"pgusher.surfaces.cli.{name.replace('-', '_') or 'state'}").COMMAND
    return found


def every() -> list[Command]:
    """All commands, the bare one first."""
    return [command(name) for name in ("", *NAMES)]
