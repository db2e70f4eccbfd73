"""A web application that takes sessions when a worker of it starts; WSGI (`app`) and ASGI (`asgi`) at once.

It is served by gunicorn or uvicorn. The workers import it, the parent does not: so each worker has its own sessions.
"""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

import psycopg

from tests.bed.holders.sessions import open_session
from tests.bed.holders.witness import Witness

_witness, _keep = Witness(), list[psycopg.Connection[Any]]()
for _ in range(int(os.environ["SESSIONS"])):
    open_session(os.environ["PGUSHER_DSN"], "idle", _witness, _keep)
_witness.write()


def app(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    """Answer every request with the backends this worker holds."""
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [" ".join(str(connection.info.backend_pid) for connection in _keep).encode()]


async def asgi(
    scope: dict[str, Any], receive: Callable[[], Awaitable[Any]], send: Callable[[dict[str, Any]], Awaitable[None]]
) -> None:
    """The same for ASGI; it takes part in the lifespan protocol, so that no server warns."""
    if scope["type"] == "lifespan":
        while True:
            kind = (await receive())["type"]
            await send({"type": f"{kind}.complete"})
            if kind == "lifespan.shutdown":
                return
    body = " ".join(str(connection.info.backend_pid) for connection in _keep).encode()
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": body})
