"""The truth, as the holders told it: frozen, one value for all processes of a holder."""

from __future__ import annotations

import glob
import json
import os
from dataclasses import dataclass, replace
from typing import Any


@dataclass(frozen=True, slots=True)
class TrueProcess:
    """A process that told about itself."""

    pid: int
    start_ticks: int
    """Field 22 of /proc/PID/stat."""
    uid: int
    inner_pid: int
    """Its own view of its pid: another inside a PID namespace."""
    netns: int
    pidns: int


@dataclass(frozen=True, slots=True)
class TrueSession:
    """A session, and all the processes that have its socket open."""

    backend_pid: int
    """0 for one that has not finished its authentication over a unix socket: nothing tells."""
    backend_start: int | None
    """Microseconds since 1970, from pg_stat_activity; None where nobody asked the server."""
    user: str
    database: str
    application_name: str | None
    state: str
    """As pg_stat_activity is to show it; "authenticating" for one that has not finished its authentication; empty when
    it was not told, as its program goes on working."""
    queried: bool | None
    """False for one that never sent a statement; None when it was not told."""
    waits_for: tuple[int, ...]
    """Pids of the backends that block it."""
    family: str
    """inet, inet6 (also for a v4-mapped address) or unix."""
    address: str | None
    """The client's end, as the client's socket has it: "::ffff:127.0.0.1" for a v4-mapped one; None for unix."""
    port: int | None
    inode: int
    """Of the client's socket."""
    path: str | None
    """Of the server's unix socket."""
    holders: tuple[tuple[int, int], ...]
    """(pid, fd) of every process that has this socket open."""

    @property
    def pids(self) -> set[int]:
        """The processes that hold it."""
        return {pid for pid, _ in self.holders}


@dataclass(frozen=True, slots=True)
class Truth:
    """All that a holder's processes told."""

    processes: tuple[TrueProcess, ...]
    sessions: tuple[TrueSession, ...]
    refusal: str = ""
    """The words with which the server refused one more session, from the holders that fill it."""

    @property
    def pids(self) -> set[int]:
        """Its processes."""
        return {process.pid for process in self.processes}

    @property
    def backends(self) -> dict[int, set[int]]:
        """For every backend the pids of the processes that hold its client socket."""
        return {session.backend_pid: session.pids for session in self.sessions if session.backend_pid}

    @property
    def inodes(self) -> dict[int, set[int]]:
        """For every client socket the pids of the processes that have it open."""
        return {session.inode: session.pids for session in self.sessions}

    def with_backends(self, by_port: dict[int, int]) -> Truth:
        """The same with the backends of TCP clients, for the sessions that do not know theirs."""
        sessions = tuple(
            s if s.backend_pid else replace(s, backend_pid=by_port.get(s.port or 0, 0)) for s in self.sessions
        )
        return replace(self, sessions=sessions)

    def with_starts(self, starts: dict[int, int]) -> Truth:
        """The same with each session's backend_start, where the server showed it."""
        sessions = tuple(replace(s, backend_start=starts.get(s.backend_pid)) for s in self.sessions)
        return replace(self, sessions=sessions)


def read(directory: str) -> Truth:
    """What has been told so far."""
    processes: list[TrueProcess] = []
    sessions: dict[int, dict[str, Any]] = {}
    refusal = ""
    for path in sorted(glob.glob(os.path.join(glob.escape(directory), "*.json"))):
        with open(path, encoding="utf-8") as file:
            told = json.load(file)
        told["pid"] = _as_seen_here(told)
        processes.append(TrueProcess(**{name: told[name] for name in TrueProcess.__slots__}))
        refusal = told.get("refusal") or refusal
        for session in told["sessions"]:
            known = sessions.setdefault(session["inode"], {**session, "holders": set()})
            known["holders"].add((told["pid"], session["fd"]))
    return Truth(tuple(processes), tuple(_session(told) for told in sessions.values()), refusal)


def _as_seen_here(told: dict[str, Any]) -> int:
    """The pid of this process as we see it: one inside a PID namespace of its own cannot tell."""
    if told["pidns"] == os.stat("/proc/self/ns/pid").st_ino:
        return int(told["pid"])
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            if os.stat(f"/proc/{pid}/ns/pid").st_ino != told["pidns"]:
                continue
            with open(f"/proc/{pid}/status", encoding="utf-8", errors="replace") as file:
                numbers = next(line.split() for line in file if line.startswith("NSpid:"))
        except (OSError, StopIteration):
            continue
        if int(numbers[-1]) == told["inner_pid"]:
            return int(pid)
    return 0


def _session(told: dict[str, Any]) -> TrueSession:
    return TrueSession(
        backend_pid=told["backend_pid"],
        backend_start=None,
        user=told["user"],
        database=told["database"],
        application_name=told["application_name"],
        state=told["state"],
        queried=told.get("queried"),
        waits_for=tuple(told.get("waits_for", ())),
        family=told["family"],
        address=told.get("address"),
        port=told.get("port"),
        inode=told["inode"],
        path=told.get("path"),
        holders=tuple(sorted(told["holders"])),
    )
