"""What a person asked for: which server, and how hard to try."""

from __future__ import annotations

import os
from collections.abc import Mapping

from pgusher.app.config import Config
from pgusher.model.values import dataclass, field

# With one of these set, libpq would go to a server of its own choice: that choice is the person's.
_LIBPQ_TARGETS = ("PGHOST", "PGHOSTADDR", "PGPORT", "PGSERVICE")


@dataclass(frozen=True, slots=True)
class Request:
    """The target as psql takes it (`-h -p -U -d`, a connection string or a service), and the limits of the look."""

    dsn: str | None = None
    """A libpq connection string or URI."""
    host: str | None = None
    port: int | None = None
    user: str | None = None
    database: str | None = None
    service: str | None = None
    timeout: float = 3.0
    """Seconds for a connect, and for a statement."""
    patience: float = 0.0
    """Seconds for which sockets and processes are not looked at anew while no session came or went: for a watch."""
    sql: bool = True
    """False: take no slot at all, look at process titles and sockets only."""
    panels: bool = False
    """True: tell the saved query of each session of a Grafana's, where there is one, and its dashboards can be read."""
    config: Config = field(default_factory=Config)

    def names_a_server(self, environment: Mapping[str, str] | None = None) -> bool:
        """Whether the person said where to look. If not, local servers are found by themselves."""
        given = os.environ if environment is None else environment
        return bool(self.dsn or self.host or self.service or any(given.get(name) for name in _LIBPQ_TARGETS))
