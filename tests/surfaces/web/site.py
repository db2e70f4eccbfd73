"""A site over snapshots that the tests give it, asked as a browser asks it, without a socket."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx

from pgusher.app.config import Config
from pgusher.app.live import Live
from pgusher.app.look import Look
from pgusher.app.past import from_memory
from pgusher.app.served_holder import Shown, share_of
from pgusher.errors import PgusherError, UsageError
from pgusher.model.snapshot import Snapshot
from pgusher.surfaces.web.gate import Gate
from pgusher.surfaces.web.site import Site
from tests.surfaces.fakes import FakeApp

TOKEN = "0123456789abcdef0123456789abcdef"
HOST = "127.0.0.1:8432"


class Source:
    """What the pages are made of, without a server: plans and acts are written down."""

    def __init__(self, *looks: Any, allow_actions: bool = False, clock: Any = None) -> None:
        app = FakeApp(*looks)
        self.live = Live(app, app.config(None), **({} if clock is None else {"clock": clock}))
        self.live.step()
        self.config = Config()
        self.kept: Any = None
        self.shown: Shown | None = None
        self.allow_actions = allow_actions
        self.gate: Gate | None = None
        self.trouble = ""
        self.applied: list[str] = []
        self.plans: list[tuple[str | None, str | None]] = []
        self.planned: dict[str, Any] = {
            "schema": 1, "kind": "plan", "id": "k7f3", "expires_at": "2026-01-24T03:22:00.000000Z", "taken": 97,
            "back": 18, "spared": [], "next": [{"command": "pgusher free --apply k7f3", "reason": "do it"}],
            "steps": [{"number": 1, "safety": "safe", "text": "terminate session 77", "slots": 1, "why": "leaked",
                       "loses": ""}],
        }  # fmt: skip

    def threads(self, snapshot: Snapshot, _name: str, /) -> Any:
        return tuple(snapshot.facts.stacks)

    def plan(self, name: str | None, server: str | None = None) -> dict[str, Any]:
        self.plans.append((name, server))
        return self.planned

    def apply(self, plan: str) -> dict[str, Any]:
        if not self.allow_actions:
            raise PgusherError("this page only shows")
        self.applied.append(plan)
        verdict = {"text": "1 of 1 gone", "detail": [], "proof": "a slot was taken", "hint": ""}
        outcomes = [{"step": 1, "outcome": "done", "text": "terminated"}]
        return {"outcomes": outcomes, "verdict": verdict, "exit": 0}

    def runs(self, _holder: str, /) -> list[Any]:
        return []

    def share(self, snapshot: Snapshot, name: str, /) -> Any:
        return share_of(snapshot, self.config, name)

    def panels(self, _snapshot: Snapshot, _name: str, /) -> Any:
        return self.shown

    def past(self, _server: str, at: str, _span: str, /) -> Any:
        return from_memory(self.live.sums(), at, self.live.newest().at)

    def recorded(self, _snapshot: Snapshot, /) -> Any:
        return self.kept

    def refused(self, _label: str, /) -> Any:
        return {"ordinary slots": 3}

    def rule(self, name: str) -> str:
        if name == "nosuch":
            raise UsageError("no rule is called so")
        return f"# {name}\n\nIt says `why`, and **what** to do.\n\n```text\nan example\n```\n"


def look(*snapshots: Snapshot) -> Look:
    return Look(snapshots, 12.0)


def gate(source: Source) -> Gate:
    if source.gate is None:
        source.gate = _gate(source)
    return source.gate


def _gate(source: Source) -> Gate:
    return Gate(Site(source, TOKEN).application(), TOKEN, frozenset({HOST, "localhost:8432"}))


def ask(
    source: Source, path: str, method: str = "GET", *, headers: dict[str, str] | None = None, token: bool = True,
    body: bytes | None = None, host: str = HOST,
) -> httpx.Response:  # fmt: skip
    """One request and its answer."""
    sent = {"host": host, **({"authorization": f"Bearer {TOKEN}"} if token else {}), **(headers or {})}

    async def go() -> httpx.Response:
        transport = httpx.ASGITransport(app=gate(source))
        async with httpx.AsyncClient(transport=transport, base_url=f"http://{host}") as client:
            return await client.request(method, path, headers=sent, content=body)

    return asyncio.run(go())
