"""What the staging asks of its back ends over HTTP."""

from __future__ import annotations

import re
import urllib.request
from concurrent.futures import ThreadPoolExecutor

_AT_ONCE = 20


def address(log: str) -> str | None:
    """Where uvicorn says in its log that it listens; None when it does not say so yet."""
    found = re.search(r"running on (http://127\.0\.0\.1:\d+)", log)
    return found[1] if found else None


def answers(url: str) -> bool:
    """Whether there is an answer with status 200."""
    try:
        with urllib.request.urlopen(url, timeout=30) as answer:  # noqa: S310  # http, see above
            answer.read()
            return int(answer.status) == 200
    except OSError:  # urllib's own errors are of that kind
        return False


def ask(url: str, requests: int) -> int:
    """Make many requests, 20 at once: how many were answered with status 200."""
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        return sum(pool.map(answers, [url] * requests))
