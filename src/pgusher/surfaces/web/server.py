"""Serving the pages: the socket, its limits, TLS, and the end."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import signal
import socket
from collections.abc import Callable, Iterator
from types import FrameType
from typing import TYPE_CHECKING, Any

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from pgusher.errors import PgusherError, UsageError
from pgusher.surfaces.web.gate import Gate
from pgusher.surfaces.web.site import Site, Source

if TYPE_CHECKING:
    from collections.abc import Iterable

_HEADERS_WITHIN = 10.0
"""Seconds for the head of a request to come: a client that sends a byte a second would have its connection for ever."""
_HEAD = 16 * 1024
_CONNECTIONS = 400
_BACKLOG = 128


class _PatientProtocol(H11Protocol):
    """Uvicorn's, which ends connections whose request does not come."""

    _head_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self._head_timer = self.loop.call_later(_HEADERS_WITHIN, self._impatient)

    def _impatient(self) -> None:
        if getattr(self, "cycle", None) is None and not self.transport.is_closing():
            self.transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
        super().connection_lost(exc)


def hosts(names: Iterable[str], port: int, *, secure: bool) -> frozenset[str]:
    """What a browser may say in Host, with the port; without it too where it is the usual one."""
    usual = 443 if secure else 80
    found = set()
    for name in names:
        plain = f"[{name}]" if ":" in name else name
        found.add(f"{plain}:{port}".lower())
        if port == usual:
            found.add(plain.lower())
    return frozenset(found)


def is_loopback(address: str) -> bool:
    """Whether only programs of this host get there."""
    if address == "localhost":
        return True
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        return False


def bind(address: str, port: int) -> socket.socket:
    """A listening socket. Raises PgusherError when the address is taken, or is none of this host's; UsageError."""
    try:
        family, kind, _, _, place = socket.getaddrinfo(address, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[
            0
        ]
    except (OSError, UnicodeError):
        raise UsageError(f"no address is called {address[:60]!r}", hint="--listen 127.0.0.1:8432") from None
    listener = socket.socket(family, kind)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(place)
        listener.listen(_BACKLOG)
    except OSError as error:
        listener.close()
        reason = (error.strerror or str(error)).lower()
        hint = "another port: --listen 127.0.0.1:8433, or 0 for a free one"
        raise PgusherError(f"could not listen at {address} port {port}: {reason}", hint=hint) from None
    return listener


def serve(
    source: Source,
    token: str,
    listener: socket.socket,
    names: Iterable[str],
    *,
    certificate: tuple[str, str] | None = None,
    repeat: str = "pgusher",
    ready: Callable[[], None] = lambda: None,
) -> bool:
    """Serves until SIGINT or SIGTERM; True when it was SIGINT.

    `names`: how this host may be called; `certificate`: its file and its key's; `ready` is called when the first
    request can be answered.
    """
    port = listener.getsockname()[1]
    site = Site(source, token, repeat=repeat)
    gate = Gate(
        site.application(), token, hosts(names, port, secure=certificate is not None), secure=certificate is not None
    )
    config = uvicorn.Config(
        gate,
        http=_PatientProtocol,
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        date_header=True,
        proxy_headers=False,
        h11_max_incomplete_event_size=_HEAD,
        limit_concurrency=_CONNECTIONS,
        timeout_keep_alive=5,
        timeout_graceful_shutdown=2,
        ssl_certfile=certificate[0] if certificate else None,
        ssl_keyfile=certificate[1] if certificate else None,
    )
    server = _Server(config, ready)
    try:
        server.run(sockets=[listener])
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise PgusherError(f"the certificate or its key cannot be used: {reason}") from None
    return server.interrupted


class _Server(uvicorn.Server):
    """Uvicorn's, which tells when it is ready."""

    def __init__(self, config: uvicorn.Config, ready: Callable[[], None]) -> None:
        super().__init__(config)
        self._ready = ready
        self.interrupted = False

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """As uvicorn's, but a signal that has been heeded is not raised once more: what comes after is to be done."""
        before = {number: signal.signal(number, self.handle_exit) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Remembers which it was."""
        self.interrupted = sig == signal.SIGINT
        super().handle_exit(sig, frame)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._ready()
