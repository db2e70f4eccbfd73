"""How a holder tells the truth about itself: which process it is, and which sessions it holds through which socket.

A holder writes `<pid>.json` into the directory that $PGUSHER_TRUTH names, whole or not at all. What it writes is from
its own point of view: libpq's memory of the backend's pid, its own descriptors, its own socket's two ends.
"""

from __future__ import annotations

import json
import os
import socket
from typing import Any

import psycopg

TRUTH = "PGUSHER_TRUTH"


def start_ticks() -> int:
    """Field 22 of our /proc/PID/stat: clock ticks since boot; with the pid our identity."""
    with open("/proc/self/stat", "rb") as file:
        return int(file.read().rpartition(b")")[2].split()[19])


def outer_pid() -> int:
    """Our pid as those see it who mounted /proc: another than os.getpid() inside a PID namespace."""
    return int(os.readlink("/proc/self"))


def ends(fd: int) -> dict[str, Any]:
    """Both ends of a connected socket, and its inode."""
    with socket.socket(fileno=os.dup(fd)) as sock:
        family = sock.family
        if family == socket.AF_UNIX:
            peer = sock.getpeername()
            path = peer.decode() if isinstance(peer, bytes) else peer
            return {"family": "unix", "path": path.replace("\0", "@"), "inode": os.fstat(fd).st_ino}
        (address, port), (peer_address, peer_port) = sock.getsockname()[:2], sock.getpeername()[:2]
    return {
        "family": "inet6" if family == socket.AF_INET6 else "inet",
        "address": address,
        "port": port,
        "peer_address": peer_address,
        "peer_port": peer_port,
        "inode": os.fstat(fd).st_ino,
    }


class Witness:
    """What one process knows of its own sessions."""

    def __init__(self) -> None:
        self.sessions: list[dict[str, Any]] = []

    def saw(self, connection: psycopg.Connection[Any], state: str, **more: Any) -> dict[str, Any]:
        """Note a session of ours, without sending anything: it may be in any state, and must stay in it."""
        info, fd = connection.info, connection.fileno()
        session = {
            "backend_pid": info.backend_pid,
            "user": info.user,
            "database": info.dbname,
            "application_name": info.parameter_status("application_name"),
            "state": state,
            "fd": fd,
            **ends(fd),
            **more,
        }
        self.sessions.append(session)
        return session

    def write(self, **more: Any) -> None:
        """Tell it: the file appears whole."""
        uids = os.getresuid()
        told = {
            "pid": outer_pid(),
            "inner_pid": os.getpid(),
            "start_ticks": start_ticks(),
            "uid": uids[1],
            "netns": os.stat("/proc/self/ns/net").st_ino,
            "pidns": os.stat("/proc/self/ns/pid").st_ino,
            "sessions": self.sessions,
            **more,
        }
        path = os.path.join(os.environ[TRUTH], f"{told['pid']}.json")
        # A name that is this thread's own until the rename: the directory may be shared with other users.
        with open(f"{path}.{os.getpid()}.new", "w", encoding="utf-8", errors="backslashreplace") as file:
            json.dump(told, file)
        os.replace(file.name, path)
