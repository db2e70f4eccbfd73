"""Sessions: the taken slots of a server."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from pgusher.model.address import UNKNOWN, ClientAddress, Micros


class SeenBy(StrEnum):
    """Which view showed a session. They differ in what they can tell."""

    ACTIVITY = "pg_stat_activity"
    LOCKS = "pg_locks"
    """Holds a slot and a virtual transaction lock, but pg_stat_activity does not show it (yet)."""
    TITLE = "process title"


@dataclass(frozen=True, slots=True)
class SessionKey:
    """The identity of a session: a pid alone is reused."""

    pid: int
    backend_start: Micros | None
    """None when the view does not tell (another role's session without pg_read_all_stats; a process title)."""


@dataclass(frozen=True, slots=True)
class Session:
    """One server process that serves a client. All texts are hostile until rendered; `query` is redacted."""

    pid: int
    backend_start: Micros | None = None
    backend_type: str = "client backend"
    """As in pg_stat_activity: "client backend", "walsender", "parallel worker" ..."""
    user: str | None = None
    database: str | None = None
    application_name: str | None = None
    client: ClientAddress = UNKNOWN
    state: str | None = None
    """As in pg_stat_activity.state; "authenticating" for one that has not finished its login; None: hidden."""
    state_change: Micros | None = None
    query_start: Micros | None = None
    """None until the first statement."""
    xact_start: Micros | None = None
    wait_event_type: str | None = None
    wait_event: str | None = None
    query: str | None = None
    """The current or last statement with its literals removed, cut by the server at track_activity_query_size."""
    blocked_by: tuple[int, ...] = ()
    """Pids of the sessions whose locks this one waits for."""
    superuser: bool | None = None
    """True when its role is a superuser: takes a reserved slot, and is never ended by pgusher. None: not known."""
    seen_by: SeenBy = SeenBy.ACTIVITY
    own: bool = False
    """True for pgusher's own session."""

    @property
    def key(self) -> SessionKey:
        """Its identity."""
        return SessionKey(self.pid, self.backend_start)

    @property
    def takes_slot(self) -> bool:
        """Whether it counts against max_connections: walsenders (from 12 on) and parallel workers do not."""
        return self.backend_type in {"client backend", "authenticating"}
