"""Sessions: the taken slots of a server."""

from __future__ import annotations

from enum import StrEnum

from pgusher.model.address import UNKNOWN, ClientAddress, Micros
from pgusher.model.values import dataclass

UNSTARTED = "unstarted"
"""The `backend_type` of a connection that has not started a session: the server waits for its startup packet. It takes
one of the processes that the server may have, and no slot. The word is pgusher's: no view of the server shows them."""

TAKE_SLOTS = frozenset({"client backend", "authenticating"})
"""Each `backend_type` that counts against max_connections: walsenders (from 12 on) and parallel workers do not."""


class SeenBy(StrEnum):
    """Which view showed a session. They differ in what they can tell."""

    ACTIVITY = "pg_stat_activity"
    LOCKS = "pg_locks"
    """Holds a slot and a virtual transaction lock, but pg_stat_activity does not show it (yet)."""
    TITLE = "process title"
    SOCKET = "connected socket"
    """A process of the server has it open and no title yet: the connection has not started a session."""


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
    """As in pg_stat_activity: "client backend", "walsender", "parallel worker" ...; `UNSTARTED`."""
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
    start_ticks: int | None = None
    """Start of the server process in clock ticks since boot (field 22 of /proc/PID/stat): with the pid its identity
    on this host, where backend_start is not known. None unless read from /proc."""
    started_about: Micros | None = None
    """Start of the server process by /proc, to about 10 ms; for an order and an age, never for an identity."""
    idle_ms_estimate: int | None = None
    """At least so many milliseconds the server process has not run on a CPU, by the kernel's scheduler. An estimate:
    any wake-up shortens it, and it is not exact over CPUs. Where state_change is known that is the truth."""

    @property
    def key(self) -> SessionKey:
        """Its identity."""
        return SessionKey(self.pid, self.backend_start)

    @property
    def takes_slot(self) -> bool:
        """Whether it counts against max_connections."""
        return self.backend_type in TAKE_SLOTS
