"""The slots that a run asks a budget for before it starts, and who has them when it gets none."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pgusher.client.budget.lease import Lease

TAKEN = "PGUSHER_SLOTS"
"""In the environment of a job whose guard has taken slots: BUDGET=N. `pgusher.job` asks for them no more then."""
PATIENCE = 2.0
"""Seconds that a run which is not to wait waits all the same: in that time others give back what they have idle."""
_MOST = 5


class NoSlots(Exception):  # noqa: N818 - that there are none now is no error
    """There are not enough: what is told of it."""

    def __init__(self, lines: list[str]) -> None:
        super().__init__(lines[0])
        self.lines = lines


def take(lease: Lease, job: str, *, wait: bool, tell: Callable[[str], None]) -> list[str]:
    """Takes them, and gives what is to be told of it: how long it took, if it took long. Raises NoSlots."""
    wanted = f"{lease.count} slot{'s' * (lease.count != 1)} of budget {lease.name}"

    def waits() -> None:
        for line in (f"job {job} waits for {wanted}", *_holders(lease)):
            tell(line)

    waited = lease.take(None if wait else PATIENCE, waits if wait else lambda: None)
    if waited is None:
        raise NoSlots([f"job {job} was not started: {wanted} are not free", *_holders(lease)])
    return [f"it waited {waited:.0f} s for {wanted}"] if waited >= PATIENCE else []


def _holders(lease: Lease) -> list[str]:
    found = lease.holders()
    lines = [f"{sum(one.held for one in found)} of {lease.total} slots are taken"]
    for one in found[:_MOST]:
        command = _command(one.pid)
        lines.append(f"pid {one.pid} has {one.held}{f': {command}' if command else ''}")
    return [*lines, f"and {len(found) - _MOST} more processes"] if len(found) > _MOST else lines


def _command(pid: int) -> str:
    from pgusher.model.redact import redact_argv

    try:
        with open(f"/proc/{pid}/cmdline", "rb") as file:
            words = os.fsdecode(file.read(4096)).rstrip("\0").split("\0")
    except OSError:
        return ""
    return " ".join(redact_argv(words))[:100]
