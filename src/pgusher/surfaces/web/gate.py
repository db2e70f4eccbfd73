"""What stands before every page: who may come in, how much a request may be, and what an answer may do in a browser.

A page on the loopback is in reach of every page that the same browser shows (DNS rebinding, forged forms), and of every
user of the host. So: a token, always; only the names that are ours in Host; a POST only from our own pages; answers
that run no script but our one file, and that no other page may frame.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any
from urllib.parse import parse_qsl, urlencode

from pgusher.surfaces.web.token import form_key, same

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Asgi = Callable[[Scope, Receive, Send], Awaitable[None]]

COOKIE = "pgusher"
MOST_BODY = 16 * 1024
"""Bytes of a request's body."""
MOST_TARGET = 4096
"""Bytes of a path with its query."""
BODY_WITHIN = 10.0
"""Seconds for the body of a request to come."""
_YEAR = 365 * 86400
_DIGITS = 9
_METHODS = frozenset({"GET", "HEAD", "POST"})

HEADERS = (
    (b"content-security-policy", (b"default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
     b"connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'")),
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"permissions-policy", b"camera=(), geolocation=(), microphone=()"),
    (b"cache-control", b"no-store"),
)  # fmt: skip

_SIGNED_IN = """<!doctype html>
<html lang="en"><meta charset="utf-8"><title>pgusher</title><link rel="icon" href="data:,">
<meta http-equiv="refresh" content="0;url={url}">
<p>The token is right. <a href="{url}">Go on</a></p></html>
"""
_REFUSED = """<!doctype html>
<html lang="en"><meta charset="utf-8"><title>pgusher</title><meta name="viewport" content="width=device-width">
<main><h1>{title}</h1><p>{text}</p></main></html>
"""


class Gate:
    """Lets through to `inner` what may come in, and answers all else itself."""

    def __init__(self, inner: Asgi, token: str, hosts: frozenset[str], *, secure: bool = False) -> None:
        """`hosts`: what Host may say, in lower case, with the port; `secure`: the page is served by TLS."""
        self._inner = inner
        self._token = token
        self._hosts = hosts
        self._scheme = "https" if secure else "http"
        self._secure = secure

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """As ASGI has it."""
        if scope["type"] == "lifespan":
            await self._inner(scope, receive, send)
            return
        if scope["type"] != "http":  # no websocket is spoken here
            return
        headers: dict[bytes, bytes] = {}
        for name, value in scope["headers"]:
            if name in headers and name in {b"host", b"authorization", b"origin", b"content-length"}:
                await _refuse(send, 400, "Bad request", f"The header {name.decode('ascii', 'replace')} comes twice.")
                return
            headers[name] = value
        if (wrong := self._wrong(scope, headers)) is not None:
            await _refuse(send, *wrong)
            return
        query = scope["query_string"].decode("latin-1")
        if scope["method"] == "GET" and "token=" in query and await self._sign_in(scope, query, send):
            return
        if not same(_given(headers), self._token):
            text = "Open the address that pgusher serve printed: it carries the token. A program sends it as"
            await _refuse(send, 401, "A token is needed", f"{text} Authorization: Bearer TOKEN.")
            return
        if scope["method"] == "POST":
            body = await self._posted(headers, receive, send)
            if body is None:
                return
            receive = _said(body)
        await self._inner(scope, receive, _dressed(send))

    def _wrong(self, scope: Scope, headers: dict[bytes, bytes]) -> tuple[int, str, str] | None:
        if scope["method"] not in _METHODS:
            return 405, "No such method", "Pages are read with GET."
        if len(scope.get("raw_path") or b"") + len(scope["query_string"]) > MOST_TARGET:
            return 414, "The address is too long", f"It may have {MOST_TARGET} bytes."
        host = headers.get(b"host", b"").decode("latin-1").lower()
        if host not in self._hosts:
            return 421, "This is not the host that you mean", "The page answers to its own name and address alone."
        length = headers.get(b"content-length", b"0")
        if not length.isdigit() or len(length) > _DIGITS or int(length) > MOST_BODY:
            return 413, "The request is too large", f"Its body may have {MOST_BODY} bytes."
        return None

    async def _sign_in(self, scope: Scope, query: str, send: Send) -> bool:
        """Takes the token out of the address into a cookie. False when the address has none."""
        words = parse_qsl(query, keep_blank_values=True)
        given = [value for name, value in words if name == "token"]
        if not given:
            return False
        if not same(given[0], self._token):
            await _refuse(send, 401, "That is not the token", "Open the address that pgusher serve printed.")
            return True
        rest = urlencode([pair for pair in words if pair[0] != "token"])
        # As it was asked for, quoted as it came; one slash alone at the start, or it would name another host.
        path = "/" + (scope.get("raw_path") or b"/").decode("latin-1").partition("?")[0].lstrip("/\\")
        url = _escaped(path + (f"?{rest}" if rest else ""))
        secure = "; Secure" if self._secure else ""
        cookie = f"{COOKIE}={self._token}; Path=/; Max-Age={_YEAR}; HttpOnly; SameSite=Strict{secure}"
        # Not a redirect: a browser that came from elsewhere would not send a strict cookie along with it.
        await _answer(send, 200, _SIGNED_IN.format(url=url), [(b"set-cookie", cookie.encode("latin-1"))])
        return True

    async def _posted(self, headers: dict[bytes, bytes], receive: Receive, send: Send) -> bytes | None:
        """The body of a POST from one of our own pages; None when it was refused."""
        origin = headers.get(b"origin", b"").decode("latin-1").lower()
        if origin not in {f"{self._scheme}://{host}" for host in self._hosts}:
            await _refuse(send, 403, "Refused", "Only pages of this pgusher may ask for that.")
            return None
        try:
            async with asyncio.timeout(BODY_WITHIN):
                body = await _body(receive)
        except TimeoutError:
            await _refuse(send, 408, "The request did not come to its end", f"It had {BODY_WITHIN:g} s.")
            return None
        if body is None:
            await _refuse(send, 413, "The request is too large", f"Its body may have {MOST_BODY} bytes.")
            return None
        key = headers.get(b"x-pgusher", b"").decode("latin-1")
        if not key:
            words = dict(parse_qsl(body.decode("utf-8", "replace"), max_num_fields=50))
            key = words.get("key", "")
        if not same(key, form_key(self._token)):
            await _refuse(send, 403, "Refused", "The form is not one of this pgusher's, or an old one: load it again.")
            return None
        return body


def _given(headers: dict[bytes, bytes]) -> str | None:
    """The token of a request: in its Authorization, or in our cookie."""
    scheme, _, value = headers.get(b"authorization", b"").decode("latin-1").partition(" ")
    if scheme.lower() == "bearer":
        return value.strip()
    for part in headers.get(b"cookie", b"").decode("latin-1").split(";"):
        name, _, value = part.strip().partition("=")
        if name == COOKIE:
            return value
    return None


async def _body(receive: Receive) -> bytes | None:
    """The whole body; None when it is more than it may be, or its sender has gone."""
    parts, size = [], 0
    while True:
        message = await receive()
        if message["type"] != "http.request":
            return None
        part = message.get("body", b"")
        size += len(part)
        if size > MOST_BODY:
            return None
        parts.append(part)
        if not message.get("more_body", False):
            return b"".join(parts)


def _said(body: bytes) -> Receive:
    """What gives the inner application the body that was read already."""
    messages = [{"type": "http.request", "body": body, "more_body": False}]

    async def receive() -> Message:
        return messages.pop() if messages else {"type": "http.disconnect"}

    return receive


def _dressed(send: Send) -> Send:
    """Adds the headers that every answer has."""

    async def dressed(message: Message) -> None:
        if message["type"] == "http.response.start":
            own = {name.lower() for name, _ in message.get("headers", ())}
            added = [pair for pair in HEADERS if pair[0] not in own]
            message = {**message, "headers": [*message.get("headers", ()), *added]}
        await send(message)

    return dressed


async def _refuse(send: Send, status: int, title: str, text: str) -> None:
    await _answer(
        send, status, _REFUSED.format(title=_escaped(title), text=_escaped(text)), [(b"connection", b"close")]
    )


async def _answer(send: Send, status: int, page: str, more: list[tuple[bytes, bytes]]) -> None:
    raw = page.encode()
    headers = [(b"content-type", b"text/html; charset=utf-8"), (b"content-length", str(len(raw)).encode()), *more]
    if status == 401:
        headers.append((b"www-authenticate", b'Bearer realm="pgusher"'))
    await send({"type": "http.response.start", "status": status, "headers": [*headers, *HEADERS]})
    await send({"type": "http.response.body", "body": raw})


def _escaped(text: str) -> str:
    for sign, entity in (("&", "&amp;"), ("<", "&lt;"), (">", "&gt;"), ('"', "&quot;"), ("'", "&#39;")):
        text = text.replace(sign, entity)
    return text
