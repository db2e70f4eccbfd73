"""What a test needs and may not find: then it is skipped, and says why."""

from __future__ import annotations

import os
import socket

import pytest

from pgusher.demo.binaries import checkout, installations

VERSIONS = (18, 17, 16, 15, 14, 13)
"""The versions of PostgreSQL that pgusher supports, newest first."""

each_version = pytest.mark.parametrize(
    "server", VERSIONS, indirect=True, scope="module", ids=[f"pg{major}" for major in VERSIONS]
)
"""Run a test, or as `pytestmark` a whole file, on every version."""

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")


def _has_ipv6() -> bool:
    try:
        with socket.socket(socket.AF_INET6, socket.SOCK_STREAM) as sock:
            sock.bind(("::1", 0))
    except OSError:
        return False
    return True


needs_ipv6 = pytest.mark.skipif(not _has_ipv6(), reason="this host has no ::1")


def why_missing(major: int) -> str:
    """Why there is no server of this version."""
    tree = checkout()
    gap = os.path.join(tree or "", ".cache", "postgres", f"{major}.gap")
    if os.path.exists(gap):
        with open(gap, encoding="utf-8") as file:
            return file.read().strip()
    broken = "".join(f"; {entry.bin} does not run: {entry.reason}" for entry in installations()[1])
    return f"no PostgreSQL {major} on this machine (make postgres fetches it){broken}"
