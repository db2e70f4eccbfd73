"""Pools: how many sessions a program may take, by what its own configuration says."""

from __future__ import annotations

from pgusher.model.values import dataclass


@dataclass(frozen=True, slots=True)
class PoolLimit:
    """One setting that limits the sessions of one process."""

    pid: int
    """The process that the setting is for."""
    program: str
    """As its makers write it: "Grafana"."""
    setting: str
    """Its name: "maxOpenConns"."""
    limit: int
    """Sessions; 0 for no limit."""
    file: str
    """Where it is written, as the process sees it."""
    line: int
    """From 1; 0 for what is not written there, so that the program's own default holds."""
    about: str = ""
    """Which of several pools it is for: the name of a data source."""
