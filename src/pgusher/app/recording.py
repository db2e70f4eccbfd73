"""Recording: a look each second, into the store, until it is told to end."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable, Mapping
from typing import Protocol

from pgusher.app.look import Look
from pgusher.errors import PgusherError, UnreachableError
from pgusher.model.snapshot import Snapshot
from pgusher.record.database import StoreError


class Looks(Protocol):
    """What looks."""

    def look(self) -> Look:
        """One look. Raises UnreachableError when nothing at all could be seen."""


class Keeps(Protocol):
    """What keeps, as `pgusher.record.recorder.Recorder`."""

    def take(self, snapshots: tuple[Snapshot, ...]) -> None:
        """Raises StoreError."""

    def blind(self) -> None:
        """Raises StoreError."""


class Stop(Protocol):
    """What is told to end, as threading.Event."""

    def wait(self, timeout: float) -> bool:
        """Waits so many seconds at most; whether it is over."""


def record(
    looks: Looks,
    keeps: Keeps,
    stop: Stop,
    *,
    every: float,
    length: float | None,
    tell: Callable[[str], None],
    monotonic: Callable[[], float] = time.monotonic,
) -> int:
    """Looks and keeps until `stop` is set or `length` seconds are over; how many looks were kept.

    A server that does not answer is asked again, a store that cannot be written is tried again with the next look;
    both are told once, and again when it is over. Raises UnreachableError when already the first look saw nothing.
    """
    began = monotonic()
    kept, trouble = 0, ""
    number = 0
    while True:
        said = ""
        try:
            look = looks.look()
            keeps.take(look.snapshots)
            kept += 1
        except UnreachableError as error:
            if number == 0:
                raise
            said = str(error)
            said = _blind(keeps) or said
        except StoreError as error:
            if number == 0:
                raise
            said = _whole(error)
        if said != trouble:
            tell(said or "recording again")
            trouble = said
        number += 1
        now = monotonic() - began
        # On the beat, so that a slow look does not move all that follow; what was missed is not made up for.
        number = max(number, int(now / every))
        if length is not None and number * every >= length:
            stop.wait(max(0.0, length - now))
            return kept
        if stop.wait(max(0.0, number * every - now)):
            return kept


def _blind(keeps: Keeps) -> str:
    try:
        keeps.blind()
    except StoreError as error:
        return _whole(error)
    return ""


def _whole(error: PgusherError) -> str:
    return f"{error}: {error.detail}" if error.detail else str(error)


def notify(state: str, environ: Mapping[str, str] | None = None) -> None:
    """Tells systemd, where it asked for that (source: sd_notify(3)). It never fails."""
    address = (os.environ if environ is None else environ).get("NOTIFY_SOCKET", "")
    if not address.startswith(("/", "@")):
        return
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as line:
            line.sendto(state.encode(), address.replace("@", "\0", 1) if address[0] == "@" else address)
    except OSError:
        return
