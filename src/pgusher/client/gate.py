"""What stands between a pool and the server: whether it may connect now, and whether others wait for its slots.

A pool knows only itself. What other pools and processes know (the server is full; the budget of this service is used
up; somebody waits) comes in through a `Gate`. The pool calls it from any thread and from event loops, so no method may
block: what is not free now is answered with a delay.
"""

from __future__ import annotations

import threading
from typing import Protocol

from pgusher.client.backoff import Backoff


class Gate(Protocol):
    """Asked before each connect, told what came of it, and told of each session's end.

    Every call that `may_connect` answered with 0.0 is followed by exactly one of `room`, `refused` and `failed`;
    every `room` by exactly one `closed`. `now` is `time.monotonic()`. No method may raise.
    """

    pressed: bool
    """Whether somebody outside waits for a slot that this process has. Read at each return of a loan, so it is a
    plain attribute: keep it up to date in the other calls, of which `tick` comes at least twice a second."""

    def may_connect(self, now: float) -> float:
        """Seconds until the pool may ask again; 0.0 takes a slot of the budget and lets it connect now."""

    def room(self, now: float) -> None:
        """The connect worked: the server has room, and the slot stays taken until `closed`."""

    def refused(self, now: float) -> None:
        """The server is full (53300): nobody on this host need ask for a while. The slot is free again."""

    def failed(self, now: float) -> None:
        """The connect failed for another reason. The slot is free again."""

    def closed(self) -> None:
        """A session that was let in has ended, or this process has forgotten it: its slot is free again."""

    def give_back(self, now: float, made: float) -> bool:
        """Whether a session that was made at `made` and is idle now shall be closed for those who wait outside.

        Asked only while `pressed`. The gate keeps the minimum time of a session, so that nothing thrashes.
        """

    def tick(self, now: float, size: int, idle: int, waiting: int) -> None:
        """How things stand in one pool: its sessions, those that are idle, its callers in line."""

    def forked(self) -> None:
        """This is the child of a fork: what was taken belongs to the parent, this process has nothing yet."""


FULL_CAP = 0.495
"""Seconds between two attempts while the server is full: its room is found within 0.5 s, at two attempts a second."""


class OwnGate:
    """The gate of a process that knows of no other: one attempt at a time while the server is full, and few of them.

    One for all pools of a process that connect to the same server (`own_gate`). It keeps no budget.
    """

    pressed = False

    def __init__(self, backoff: Backoff | None = None) -> None:
        self._lock = threading.Lock()
        self._backoff = backoff or Backoff(FULL_CAP)
        self._next = 0.0  # when the next attempt may be made, while it is full
        self._full = False
        self._asking = 0  # attempts under way
        self.refusals = 0

    def may_connect(self, now: float) -> float:
        """At once, unless the server is full: then when the next attempt is due, one at a time."""
        with self._lock:
            if self._full:
                if self._asking:
                    return 0.02
                if now < self._next:
                    return self._next - now
            self._asking += 1
            return 0.0

    def room(self, now: float) -> None:  # noqa: ARG002  # as the protocol has it
        """There is room: everybody may ask."""
        with self._lock:
            self._asking -= 1
            self._full = False
            self._backoff.reset()

    def refused(self, now: float) -> None:
        """It is full."""
        with self._lock:
            self._asking -= 1
            self.refusals += 1
            # Several that were under way together count as one answer: the first has set the time already.
            if not self._full or now >= self._next:
                self._full = True
                self._next = now + self._backoff.next()

    def failed(self, now: float) -> None:  # noqa: ARG002  # as the protocol has it
        """It says nothing about room."""
        with self._lock:
            self._asking -= 1

    def closed(self) -> None:
        """Room for one, whoever is first."""
        with self._lock:
            self._next = 0.0

    def give_back(self, now: float, made: float) -> bool:  # noqa: ARG002  # as the protocol has it
        """Nobody else is known."""
        return False

    def tick(self, now: float, size: int, idle: int, waiting: int) -> None:
        """Nobody else is told."""

    def forked(self) -> None:
        """Nothing is under way in the child; what is known of the server holds for it too."""
        self._lock = threading.Lock()
        self._asking = 0


_own: dict[str, OwnGate] = {}
_own_lock = threading.Lock()


def own_gate(server: str) -> OwnGate:
    """The gate that all pools of this process share for one server, whatever names it ("host:port")."""
    with _own_lock:
        return _own.setdefault(server, OwnGate())


def forked() -> None:
    """This is the child of a fork."""
    global _own_lock  # noqa: PLW0603  # the parent's may be held for ever
    _own_lock = threading.Lock()
    for gate in _own.values():
        gate.forked()
