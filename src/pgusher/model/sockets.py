"""Sockets: the kernel's side of a session."""

from __future__ import annotations

from enum import StrEnum

from pgusher.model.address import Micros, Transport
from pgusher.model.values import dataclass


class Sight(StrEnum):
    """How far the kernel let us see from a session's socket to a process. Says how sure, and why not."""

    EXACT = "exact"
    """One process holds the client's end."""
    SHARED = "shared"
    """Several processes hold the same client's end (fork, or a passed descriptor): all are named."""
    UID = "uid only"
    """The client's end is on this host, its owner's files cannot be read: its uid (and cgroup) is all.

    Also when all files were read and no process shows it: it is on its way from one process to another, or an
    io_uring holds it.
    """
    OTHER_NAMESPACE = "other namespace"
    """The address is this host's or a local bridge's, but the client's end is in a namespace not entered.

    Also when it is behind address translation, so that no socket of this host bears the address the server sees.
    """
    REMOTE = "remote"
    """The client's end is not on this host."""
    GONE = "gone"
    """The client's end no longer exists; the server has not noticed."""


@dataclass(frozen=True, slots=True)
class FdHolder:
    """A process that has the client's end of a session open, and at which descriptor."""

    pid: int
    fd: int


@dataclass(frozen=True, slots=True)
class ClientSocket:
    """The client's end of one session's socket.

    For TCP the key is (`host`, `port`), the address the server sees; for a unix socket it is `backend_pid`, which is
    None where the server's files cannot be read: then which session it belongs to is not known.
    """

    transport: Transport
    sight: Sight
    host: str | None = None
    port: int | None = None
    backend_pid: int | None = None
    """The server process at the other end, when the kernel showed it: numbered as the server numbers it."""
    inode: int = 0
    """Inode of the client's end; 0 when it is not on this host or gone."""
    cookie: int = 0
    """The kernel's never-reused number of the socket; 0 when not given."""
    uid: int | None = None
    """The uid that made the client's socket."""
    cgroup_id: int | None = None
    """Inode of the cgroup (version 2) in which the client's socket was made; needs no privilege."""
    netns: int | None = None
    """Inode of the network namespace of the client's end."""
    tcp_state: str | None = None
    """State of the server's end: "established", "close-wait" ...; None for a unix socket."""
    active_at: Micros | None = None
    """When the server's end last received data (tcp_info), to a tenth of a second; None when that is not told."""
    holders: tuple[FdHolder, ...] = ()
    connected_by: int | None = None
    """The process that made the connection of a unix socket, as far as it lives, where nobody's holding it could be
    seen (SO_PEERCRED): it may have passed the socket on since."""
