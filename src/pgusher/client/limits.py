"""How sessions limit themselves, so that a vanished owner frees its slots without a DBA.

All of it goes into the startup packet: no round trip. What a server or pooler does not know it refuses by name; that is
left out from then on, and the connect is tried again at once.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pgusher.client.connection_string import unreadable, words_of


@dataclass(frozen=True, slots=True)
class Limits:
    """All in seconds; 0 leaves one to the server. What the connection string, `kwargs` or PGOPTIONS say goes first.

    They go before what ALTER ROLE ... SET and ALTER DATABASE ... SET say, as all that a client asks for does.
    """

    idle_in_transaction: float = 3600.0
    """The server ends a session that waits in a transaction for so long: it holds locks and keeps vacuum back."""
    idle_session: float = 0.0
    """The server ends a session that nobody used for so long (14 and later). Off: a session that listens for
    notifications is idle, too, and the pool closes those that it does not need. See `over`."""
    check_interval: float = 10.0
    """The server looks so often, during a query, whether its client is still there (14 and later, Linux)."""
    keepalive: float = 60.0
    """Both sides ask an idle peer after so many seconds, then every 10, and give it up after 3 without an answer."""
    user_timeout: float = 30.0
    """We give a server up that does not acknowledge what was sent for so long."""

    @classmethod
    def over(cls, max_idle: float) -> Limits:
        """With a limit for idle sessions a little over the time after which the pool itself closes or uses them.

        For programs that do not keep a loan idle for longer than that.
        """
        return cls(idle_session=2 * max_idle + 10)


class SelfLimits:
    """What one pool may ask of its server: it learns from what is refused."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self._unknown: set[str] = set()
        interval, count = 10, 3
        self._settings = {
            "idle_in_transaction_session_timeout": round(limits.idle_in_transaction * 1000),
            "idle_session_timeout": round(limits.idle_session * 1000),
            "client_connection_check_interval": round(limits.check_interval * 1000),
            "tcp_keepalives_idle": round(limits.keepalive),
            "tcp_keepalives_interval": interval if limits.keepalive else 0,
            "tcp_keepalives_count": count if limits.keepalive else 0,
        }
        self._words = {
            "keepalives_idle": round(limits.keepalive),
            "keepalives_interval": interval if limits.keepalive else 0,
            "keepalives_count": count if limits.keepalive else 0,
            "tcp_user_timeout": round(limits.user_timeout * 1000),
        }

    def add(self, conninfo: str, kwargs: Mapping[str, Any]) -> dict[str, Any]:
        """`kwargs` and what to ask for besides. Raises ProgrammingError for a string that cannot be read."""
        found = words_of(conninfo)
        if found is None:
            raise unreadable()
        given = {**found, **kwargs}
        asked = dict(kwargs)
        service = given.get("service") or os.environ.get("PGSERVICE")
        if service:  # what its file says would be overruled, so it must be known
            said = service_says(str(service), given.get("servicefile"))
            if said is None:
                return asked
            given = {**said, **given}
        if not given.get("keepalives") and not any(given.get(word) for word in self._words):
            asked.update({word: value for word, value in self._words.items() if value})
        ours = [f"-c {name}={value}" for name, value in self._settings.items() if value and name not in self._unknown]
        if ours:
            # Of two that say the same the last one holds: what the user says.
            theirs = given.get("options") or os.environ.get("PGOPTIONS") or ""
            asked["options"] = " ".join([*ours, theirs]).strip()
        return asked

    def asked(self) -> frozenset[str]:
        """The settings that the next connect asks for."""
        return frozenset(self._settings) - self._unknown

    def learn(self, text: str, asked: frozenset[str]) -> bool:
        """Whether a connect that asked for these was refused for one of them, which is then left out: try again.

        Of several connects at once each learns for itself, so what another has learned meanwhile counts too.
        """
        named = {name for name in asked if name in text}
        if not named and "startup parameter" in text and "options" in text:  # PgBouncer, before 1.20
            named = set(asked)
        self._unknown |= named
        return bool(named)


def service_says(service: str, path: Any = None) -> dict[str, str] | None:
    """The words of a section of the user's or the system's connection service file; None when it is in neither.

    Source: PostgreSQL documentation, "The Connection Service File".
    """
    paths = [path or os.environ.get("PGSERVICEFILE") or os.path.expanduser("~/.pg_service.conf")]
    if directory := os.environ.get("PGSYSCONFDIR"):
        paths.append(os.path.join(directory, "pg_service.conf"))
    for each in paths:
        try:
            with open(each, encoding="utf-8", errors="replace") as file:
                lines = [line.strip() for line in file]
        except OSError:
            continue
        if f"[{service}]" in lines:
            rest = lines[lines.index(f"[{service}]") + 1 :]
            end = next((number for number, line in enumerate(rest) if line.startswith("[")), len(rest))
            pairs = (line.partition("=") for line in rest[:end] if not line.startswith("#"))
            return {key.strip(): value.strip() for key, equals, value in pairs if equals}
    return None
