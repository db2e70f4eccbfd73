"""Snapshots as a recorder takes them, made of a few words each."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from pgusher.model.address import ClientAddress, Transport
from pgusher.model.evidence import Certainty
from pgusher.model.facts import Facts
from pgusher.model.holder import Chain, ChainEnd, Holder, HolderKind, Link, LinkKind
from pgusher.model.process import Host
from pgusher.model.server import Attempt, Ceilings, Limit, Rung, Server, View
from pgusher.model.session import Session
from pgusher.model.snapshot import Snapshot
from pgusher.record.recorder import Recorder
from pgusher.record.retention import Retention
from pgusher.record.store import open_store

SECOND = 1_000_000
MIDNIGHT = 1_775_952_000 * SECOND
"""2026-04-12 00:00:00 UTC."""
EIGHT = MIDNIGHT + 8 * 3600 * SECOND
HOST = Host("db1", "boot", 0, uid=0, user="root", addresses=(), pid=1)
PORT = "port 5432"


def session(pid: int, holder: str = "unit/web", state: str | None = "idle", **more: Any) -> tuple[Session, str]:
    """A session and who holds it."""
    values: dict[str, Any] = {
        "backend_start": MIDNIGHT - SECOND + pid,
        "user": "app",
        "database": "app",
        "application_name": holder,
        "client": ClientAddress(Transport.TCP, "127.0.0.1", 40_000 + pid),
        **more,
    }
    return Session(pid, state=state, **values), holder


def pool(count: int, holder: str = "unit/web", first: int = 100, **more: Any) -> list[tuple[Session, str]]:
    """So many sessions of one holder."""
    return [session(pid, holder, **more) for pid in range(first, first + count)]


def snapshot(
    at: int,
    held: Iterable[tuple[Session, str]],
    *,
    rung: Rung = Rung.HELD,
    slots: int = 100,
    attempts: tuple[Attempt, ...] = (),
    opened: int | None = None,
    limits: tuple[tuple[Limit, ...], tuple[Limit, ...]] = ((), ()),
) -> Snapshot:
    """What one look found; `at` in microseconds; `limits` of roles, and of databases."""
    held = list(held)
    chains = tuple(
        Chain(one.pid, one.backend_start, ChainEnd.HOLDER, name, (
            Link(LinkKind.SOCKET, f"socket {one.pid}", Certainty.PROVEN, f"inode {one.pid} is open as fd 7"),
            Link(LinkKind.PROCESS, f"python app.py (pid {9000 + one.pid // 10})", Certainty.PROVEN, "owns the socket",
                 9000 + one.pid // 10),
        ))
        for one, name in held
    )  # fmt: skip
    names = dict.fromkeys(name for _, name in held)
    holders = tuple(
        Holder(name, HolderKind.UNIT, f"{name} of systemd", tuple(one.pid for one, held_by in held if held_by == name))
        for name in names
    )
    facts = Facts(
        at, HOST, Server(5432, local=True, opened=opened), View(rung, attempts),
        Ceilings(slots, roles=limits[0], databases=limits[1]),
        tuple(one for one, _ in held),
    )  # fmt: skip
    return Snapshot(facts, chains, holders)


class Clock:
    """A monotonic clock that is moved by hand."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def recorder(path: Path, clock: Clock | None = None, every: float = 1.0, **more: Any) -> Recorder:
    """A recorder that commits with each second look of its clock."""
    clock = clock or Clock()
    return Recorder(
        open_store(str(path), write=True), every=every, monotonic=clock, retention=Retention(monotonic=clock, **more)
    )
