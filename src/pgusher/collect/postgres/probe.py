"""The raw question whether every slot is taken: a startup packet, and what comes back before any authentication.

A server that has no slot at all says so, with the SQLSTATE, before it asks who is there. It proves "completely full",
never "not full": with only reserved slots left it asks for the password first. Used only after a connect was refused.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Iterator
from enum import StrEnum

from pgusher.collect.postgres.refusal import POSTGRES, Refusal, one_line
from pgusher.model.text import decode
from pgusher.model.values import dataclass

PROTOCOL_3 = 196608
_LONGEST = 30_000
"""An error before authentication is short; libpq too gives up beyond this (source: PQconnectPoll in fe-connect.c)."""


class Said(StrEnum):
    """How the other end began."""

    REFUSED = "refused"
    """An error before any authentication: with 53300 every slot is taken."""
    ASKED = "asked to authenticate"
    """It had a slot to give, for as long as this question took."""
    NOTHING = "nothing"
    """It closed, or was silent until the deadline."""
    UNKNOWN = "something else"
    """Not the PostgreSQL protocol, or torn."""


@dataclass(frozen=True, slots=True)
class Reply:
    """What came back."""

    said: Said
    refusal: Refusal | None = None

    @property
    def full(self) -> bool:
        """Whether it proves that not one slot of the server is left. A pooler's refusal is about the pooler."""
        refusal = self.refusal
        return self.said is Said.REFUSED and refusal is not None and refusal.too_many and refusal.by == POSTGRES


def startup_packet(user: str, database: str) -> bytes:
    """A startup message of protocol 3.0 (source: PostgreSQL documentation, "Message Formats")."""
    words = ("user", user, "database", database, "application_name", "pgusher")
    body = b"".join(word.encode("utf-8", "surrogateescape").replace(b"\0", b"") + b"\0" for word in words) + b"\0"
    return (len(body) + 8).to_bytes(4, "big") + PROTOCOL_3.to_bytes(4, "big") + body


def parse_reply(data: bytes) -> Reply:
    """The first bytes of an answer. Never raises."""
    if not data:
        return Reply(Said.NOTHING)
    for kind, body in _messages(data):
        if kind == b"E":
            return Reply(Said.REFUSED, _refusal(body))
        if kind == b"R":
            return Reply(Said.ASKED)
        if kind not in {b"N", b"S", b"v"}:  # notices, settings and protocol negotiation may come before
            break
    if data[:1] == b"E" and b"\0" in data:
        # Before the server has read anything it speaks protocol 2: "E", the text, a zero byte.
        return Reply(Said.REFUSED, Refusal(one_line(decode(data[1 : data.index(b"\0")]))))
    return Reply(Said.UNKNOWN)


def complete(data: bytes) -> bool:
    """Whether more bytes would not change what `parse_reply` says."""
    return len(data) >= _LONGEST or any(kind in {b"E", b"R"} for kind, _ in _messages(data))


def ask(
    address: str | tuple[str, int],
    user: str,
    database: str,
    deadline: float,
    clock: Callable[[], float] = time.monotonic,
) -> Reply:
    """Ask the server at a unix socket's path ("@" first for an abstract one) or at a numeric address and port.

    Never raises: an address that does not answer before the deadline (of the clock) has said NOTHING. The slot that
    a server with room gives for the question is free again when this returns.
    """
    family, target = socket.AF_UNIX, address
    if isinstance(address, tuple):
        family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
    elif address.startswith("@"):
        target = f"\0{address[1:]}"
    data = b""
    try:
        with socket.socket(family, socket.SOCK_STREAM) as connection:
            connection.settimeout(max(0.001, deadline - clock()))
            connection.connect(target)
            connection.sendall(startup_packet(user, database))
            while not complete(data):
                connection.settimeout(max(0.001, deadline - clock()))
                chunk = connection.recv(8192)
                if not chunk:
                    break
                data += chunk
    except (OSError, ValueError):
        pass
    return parse_reply(data)


def _messages(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Whole messages of protocol 3."""
    at = 0
    while at + 5 <= len(data):
        length = int.from_bytes(data[at + 1 : at + 5], "big")
        if not 4 <= length <= _LONGEST or at + 1 + length > len(data):
            return
        yield data[at : at + 1], data[at + 5 : at + 1 + length]
        at += 1 + length


def _refusal(body: bytes) -> Refusal:
    fields = {part[:1]: decode(part[1:]) for part in body.split(b"\0") if part}
    return Refusal(
        words=one_line(fields.get(b"M", "")),
        sqlstate=fields.get(b"C") or None,
        routine=fields.get(b"R") or None,
        file=(fields.get(b"F") or "").rpartition("/")[2] or None,
    )
