"""What stands between a pool and the server: whether it may connect now, and whether others wait for its slots.

A pool knows only itself. What other pools and processes know (the server is full; the budget of this service is used
up; somebody waits) comes in through a `Gate`. The pool calls it from any thread and from event loops, so no method may
block: what is not free now is answered with a delay.
"""

from __future__ import annotations

from typing import Protocol


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
