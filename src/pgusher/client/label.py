"""The name that a session carries on the server: its application_name, which every view of PostgreSQL shows."""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Mapping, Sequence

LIMIT = 63
"""Bytes of a name that the server keeps (NAMEDATALEN - 1; source: src/include/pg_config_manual.h)."""

SERVICE, JOB = "PGUSHER_SERVICE", "PGUSHER_JOB"
"""Environment variables that name what runs: set in a unit or by the job guard."""


def label(service: str | None = None, *, host: str | None = None, pid: int | None = None) -> str:
    """`orders-api web1 4711`: the service, job or script, the host, the process, in 63 bytes.

    `service` None: what the environment or the command line says. What is too long loses its middle, never the pid.
    """
    what = _plain(service or program(os.environ, sys.orig_argv))
    tail = f" {os.getpid() if pid is None else pid}"
    where = _plain((socket.gethostname() if host is None else host).partition(".")[0])
    # A host's name keeps at most a third, so that both can be told.
    where = _cut(where, max(LIMIT // 3, LIMIT - len(tail) - 1 - len(what)))
    return _cut(what, LIMIT - len(tail) - 1 - len(where)) + (f" {where}" if where else "") + tail


def program(environment: Mapping[str, str], argv: Sequence[str]) -> str:
    """What this process is, in one word: the name in the environment, else the script or module of its command line."""
    for name in (SERVICE, JOB):
        if environment.get(name):
            return environment[name]
    words = iter(argv[1:])
    for word in words:
        if word == "-m":
            return next(words, "python")
        if word == "-c":
            return "python-c"
        if word in {"-W", "-X", "--check-hash-based-pycs"}:
            next(words, None)
        elif not word.startswith("-") or word == "-":
            return os.path.basename(word).removesuffix(".py") or "python"
    return "python"


def _plain(text: str) -> str:
    """Printable ASCII without spaces: the server would show each other byte as "?" (source: pg_clean_ascii)."""
    return "".join(char if "!" <= char <= "~" else "_" for char in text)


def _cut(text: str, size: int) -> str:
    """At most `size` characters: what is longer keeps its two ends."""
    if len(text) <= size:
        return text
    head = (size - 1) * 2 // 3
    return text[:head] + "~" + text[len(text) - (size - 1 - head) :]
