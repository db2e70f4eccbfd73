"""Addresses of sessions and sockets, written one way only."""

from __future__ import annotations

from enum import StrEnum

from pgusher.model.values import dataclass

Micros = int
"""Microseconds since 1970-01-01 00:00 UTC. An integer, as an identity must be exact to the microsecond."""


class Transport(StrEnum):
    """By what a client reached the server."""

    TCP = "tcp"
    UNIX = "unix"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class ClientAddress:
    """The client's end of a session, as the server states it.

    `host` is the bare numeric address (no mask, an IPv4-mapped IPv6 address written as IPv4), or a host name
    where only a process title was read and the server has `log_hostname` on. None when unknown or not TCP.
    """

    transport: Transport
    host: str | None = None
    port: int | None = None

    def __str__(self) -> str:
        if self.transport is Transport.TCP:
            host = self.host or "?"
            shown = f"[{host}]" if ":" in host else host
            return f"{shown}:{self.port}" if self.port is not None else shown
        return "unix socket" if self.transport is Transport.UNIX else "unknown address"


UNIX = ClientAddress(Transport.UNIX)
UNKNOWN = ClientAddress(Transport.UNKNOWN)
