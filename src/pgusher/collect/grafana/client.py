"""Grafana's HTTP API: one request at a time, with a time limit, a size limit and no redirects.

A token is only ever read from a file or the environment, is sent to the URL that was given and to no other, and is in
no message. Answers may hold secrets (old versions show a plain password), so that nothing of an answer but its
`message` gets into an error.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Mapping
from typing import Any

from pgusher.errors import UsageError
from pgusher.model.redact import redact_text
from pgusher.model.text import clean
from pgusher.model.values import dataclass

LIMIT = 64 << 20
"""The most bytes of one answer."""
TIMEOUT = 10.0
"""Seconds for one request."""
_TOKENS = 100
_TOKEN_FILE_BYTES = 1 << 16
_DENIED = (401, 403)

Transport = Callable[[str, str, Mapping[str, str], "bytes | None", float], "tuple[int, bytes]"]
"""Method, URL, headers, body and seconds in; status and body out. Raises OSError."""


class GrafanaError(Exception):
    """A request that did not give what was asked for. `str(error)` is one fact in lower case."""

    def __init__(self, text: str, status: int | None = None, opens: str = "") -> None:
        super().__init__(text)
        self.status = status
        """Of the HTTP answer; None when there was none."""
        self.opens = opens
        """What would help, as in a Gap."""


@dataclass(frozen=True, slots=True)
class Access:
    """Where Grafana is, and what it is asked with."""

    url: str
    """Without a slash at its end, without user or password."""
    tokens: tuple[str, ...] = ()
    """One for each organisation."""
    timeout: float = TIMEOUT

    def __repr__(self) -> str:
        """Without the tokens: it may get into a traceback."""
        return f"Access({self.url!r}, {len(self.tokens)} tokens)"


def check_url(url: str) -> str:
    """The URL as it is used. Raises UsageError when it is none, or has a password in it."""
    from urllib.parse import urlsplit

    try:
        parts = urlsplit(url.strip())
        port = parts.port
    except ValueError:
        parts, port = None, None
    if parts is None or parts.scheme not in ("http", "https") or not parts.hostname or port == 0:
        raise UsageError("the URL of Grafana is none", hint="http://HOST:3000 or https://HOST/PATH")
    if parts.username is not None or parts.password is not None:
        raise UsageError(
            "the URL of Grafana has a user or password in it", hint="use a token: --grafana-token-file FILE"
        )
    if not url.isprintable() or " " in url.strip():
        raise UsageError("the URL of Grafana has a blank or a control character in it")
    return f"{parts.scheme}://{parts.netloc}{parts.path.rstrip('/')}"


def read_tokens(path: str | None, environment: Mapping[str, str]) -> tuple[str, ...]:
    """The tokens in a file, one a line, one for each organisation; or that of PGUSHER_GRAFANA_TOKEN or GRAFANA_TOKEN.

    Raises UsageError, without a word of the file's, when it cannot be read or holds what is no token.
    """
    if path is None:
        text = environment.get("PGUSHER_GRAFANA_TOKEN") or environment.get("GRAFANA_TOKEN") or ""
        where = "the environment's Grafana token"
    else:
        where = f"token file {path}"
        try:
            # No FIFO is waited for: a shell's <(pass grafana) is one, and is opened for writing already.
            descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOCTTY)
            with os.fdopen(descriptor, "rb") as file:
                text = file.read(_TOKEN_FILE_BYTES).decode("ascii")
        except (OSError, UnicodeDecodeError, ValueError) as error:
            why = "it holds no token" if not isinstance(error, OSError) else (error.strerror or "error").lower()
            raise UsageError(f"{where} could not be read: {why}") from None
    lines = [line.strip() for line in text.splitlines()]
    tokens = tuple(dict.fromkeys(line for line in lines if line and not line.startswith("#")))
    if any(not token.isascii() or not token.isprintable() or " " in token for token in tokens) or len(tokens) > _TOKENS:
        raise UsageError(f"{where} holds what is no token", hint="one token a line, one for each organisation")
    if path is not None and not tokens:
        raise UsageError(f"{where} holds no token", hint="one token a line, one for each organisation")
    return tokens


class Client:
    """Asks one Grafana."""

    def __init__(self, access: Access, transport: Transport | None = None) -> None:
        self.url = access.url
        self.tokens = access.tokens
        self._timeout = access.timeout
        self._send = transport or _send

    def get(self, path: str, token: str | None = None) -> Any:
        """What GET answers, from JSON. Raises GrafanaError."""
        return self._ask("GET", path, token, None)

    def put(self, path: str, token: str, told: object) -> Any:
        """What PUT answers, from JSON. Raises GrafanaError."""
        try:
            body = json.dumps(told, allow_nan=False).encode()
        except (ValueError, RecursionError):
            raise GrafanaError("it holds a number that cannot be written again") from None
        return self._ask("PUT", path, token, body)

    def _ask(self, method: str, path: str, token: str | None, body: bytes | None) -> Any:
        headers = {"Accept": "application/json", "User-Agent": "pgusher"}
        if token is not None:
            headers["Authorization"] = f"Bearer {token}"
        if body is not None:
            headers["Content-Type"] = "application/json"
        try:
            status, raw = self._send(method, self.url + path, headers, body, self._timeout)
        except OSError as error:
            raise GrafanaError(f"it could not be asked: {self._said(_reason(error))}", opens="check its URL") from None
        if len(raw) > LIMIT:
            raise GrafanaError(f"its answer to {path} is over {LIMIT >> 20} MiB", status)
        told: Any = None
        try:
            told = json.loads(raw)
        except (ValueError, RecursionError):
            if 200 <= status < 300:
                raise GrafanaError(f"its answer to {_path(path)} is no JSON: is it Grafana?", status) from None
        if 200 <= status < 300:
            return told
        raise self._error(method, path, status, told)

    def _error(self, method: str, path: str, status: int, told: Any) -> GrafanaError:
        message = told.get("message") if isinstance(told, dict) else None
        said = f": {self._said(message)}" if isinstance(message, str) and message else ""
        opens = ""
        if 300 <= status < 400:
            said, opens = ": it redirects, and a token is not sent elsewhere", "give the URL that it redirects to"
        elif status in _DENIED:
            opens = "a token of a service account that may do it" if status == 403 else "a token that is valid"
        return GrafanaError(f"{method} {_path(path)}: {status}{said}", status, opens)

    def _said(self, text: str) -> str:
        for token in self.tokens:
            text = text.replace(token, "***")
        return clean(redact_text(text))[:300]


def _read(answer: Any, deadline: float) -> bytes:
    """The body. Raises TimeoutError: the time limit of a socket is for each part, and parts could come for ever."""
    parts: list[bytes] = []
    size = 0
    while part := answer.read1(1 << 16):
        parts.append(part)
        size += len(part)
        if size > LIMIT:
            break
        if time.monotonic() > deadline:
            raise TimeoutError("timed out")
    return b"".join(parts)


def _path(path: str) -> str:
    return clean(path.partition("?")[0])[:120]


def _reason(error: OSError) -> str:
    inner = getattr(error, "reason", None)
    if isinstance(inner, OSError):
        error = inner
    return (error.strerror or str(error) or type(error).__name__).lower()


def _send(method: str, url: str, headers: Mapping[str, str], body: bytes | None, timeout: float) -> tuple[int, bytes]:
    """By urllib. Redirects are answers: a token must not follow one to another host."""
    import http.client
    import urllib.error
    import urllib.request

    class Stay(urllib.request.HTTPRedirectHandler):
        def redirect_request(self, *_args: object, **_more: object) -> None:
            return None

    opener = urllib.request.build_opener(Stay)
    request = urllib.request.Request(url, body, dict(headers), method=method)  # noqa: S310 - check_url lets http pass alone
    try:
        try:
            answer = opener.open(request, timeout=timeout)
        except urllib.error.HTTPError as error:
            answer = error  # an answer like any other: it may be cut off, or come slowly, as well
        with answer:
            return answer.code, _read(answer, time.monotonic() + timeout)
    except http.client.HTTPException as error:
        if isinstance(error, OSError):
            raise
        raise OSError(f"it does not speak HTTP: {type(error).__name__}") from None
    except ValueError as error:
        raise OSError(str(error)) from None
