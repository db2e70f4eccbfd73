"""Whether a truth is one: compared with what the server and /proc show, neither of which the holder wrote."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence

from tests.bed.bed import Bed
from tests.bed.truth import TrueSession, Truth


def agrees_with_server(bed: Bed, truth: Truth, patience: float = 30.0) -> None:
    """Every session is in pg_stat_activity exactly as told.

    An active one may need a moment: the holder has sent its statement and not waited for the server to begin it.
    """
    deadline = time.monotonic() + patience
    while differences := _differences(bed, truth):
        assert time.monotonic() < deadline, "\n".join(differences)
        time.sleep(0.01)


def _differences(bed: Bed, truth: Truth) -> list[str]:
    shown = {row["pid"]: row for row in bed.sessions()}
    found = []
    for session in truth.sessions:
        row = shown.get(session.backend_pid)
        if row is None:
            found.append(f"the server has no session {session.backend_pid}")
            continue
        pairs = {
            "user": (row["usename"], session.user),
            "database": (row["datname"], session.database),
            "application_name": (row["application_name"], session.application_name),
            "state": (row["state"], session.state or row["state"]),
            "client": ((row["client_host"], row["client_port"]), _client(session)),
            "start": (row["start_micros"], session.backend_start),
            "queried": (row["query_start"] is not None, session.queried),
            "waits for": (sorted(row["blocked_by"]), sorted(session.waits_for)),
        }
        if session.queried is None:
            del pairs["queried"]
        found += [f"{session.backend_pid} {name}: {a!r} is not {b!r}" for name, (a, b) in pairs.items() if a != b]
    return found


def _client(session: TrueSession) -> tuple[str | None, int]:
    """As pg_stat_activity shows it: a v4-mapped client is a v4 client to the server."""
    if session.family == "unix":
        return None, -1
    assert session.address is not None
    assert session.port is not None
    return session.address.removeprefix("::ffff:"), session.port


def agrees_with_proc(truth: Truth) -> None:
    """Every process is the one told of, and exactly those told of have the sockets open."""
    for process in truth.processes:
        with open(f"/proc/{process.pid}/stat", "rb") as file:
            fields = file.read().rpartition(b")")[2].split()
        assert int(fields[19]) == process.start_ticks
        assert os.stat(f"/proc/{process.pid}").st_uid == process.uid
        assert os.stat(f"/proc/{process.pid}/ns/net").st_ino == process.netns
    told = {(pid, fd, session.inode) for session in truth.sessions for pid, fd in session.holders}
    wanted = {session.inode for session in truth.sessions}
    found = {(pid, fd, inode) for pid, fd, inode in _sockets() if inode in wanted}
    assert found == told


def has_no_process(truth: Truth) -> None:
    """Nobody has any of its sockets open any more."""
    wanted = {session.inode for session in truth.sessions}
    assert not [entry for entry in _sockets() if entry[2] in wanted]


def gone(pids: Sequence[int], patience: float = 60.0) -> None:
    """They have ended, and their parents, who may be others than we, have noticed."""
    deadline = time.monotonic() + patience
    while left := [pid for pid in pids if os.path.exists(f"/proc/{pid}")]:
        assert time.monotonic() < deadline, left
        time.sleep(0.01)


def _sockets() -> list[tuple[int, int, int]]:
    """(pid, fd, inode) of every socket that any process we may look at has open."""
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            for fd in os.listdir(f"/proc/{pid}/fd"):
                link = os.readlink(f"/proc/{pid}/fd/{fd}")
                if link.startswith("socket:["):
                    found.append((int(pid), int(fd), int(link[8:-1])))
        except OSError:  # it ended, or closed the descriptor, while we looked
            continue
    return found
