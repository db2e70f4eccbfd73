"""What starts the processes of a look: cron, systemd and the container runtimes, asked together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pgusher.model.evidence import Gap
from pgusher.model.jobs import Container, CronEntry, Unit
from pgusher.model.process import Process
from pgusher.model.sockets import ClientSocket


@dataclass(frozen=True, slots=True)
class JobFacts:
    """The jobs, units and containers that the processes of a look may belong to."""

    cron: tuple[CronEntry, ...] = ()
    units: tuple[Unit, ...] = ()
    containers: tuple[Container, ...] = ()
    gaps: tuple[Gap, ...] = ()


class Jobs:
    def __init__(self, crontabs: Sequence[str]) -> None:
        pass

    def look(self, sockets: Sequence[ClientSocket], processes: Sequence[Process]) -> JobFacts:
        return JobFacts()
