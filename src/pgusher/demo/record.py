"""What is written down of a staging, in its own directory, so that another process can end it."""

from __future__ import annotations

import json
import os
import shutil
import signal
import stat
import tempfile
import time
from collections.abc import Iterable
from dataclasses import dataclass

from pgusher.demo.reaper import Identity, alive, boot_id, end, end_all, marked

PREFIX = "pgusher-demo-"
MODE = 0o711
"""Of the directory: others may pass through it (the server's account does), not list it."""
_FILE = "record.json"
_PLACES = ("/dev/shm", "/var/tmp", "/tmp")  # noqa: S108  # only directories there that are ours and closed to others


@dataclass(frozen=True, slots=True)
class Record:
    """One staging."""

    directory: str
    cookie: str
    """What its programs carry in their environment."""
    boot: str
    host: Identity
    """The process that keeps the staging."""
    processes: tuple[Identity, ...] = ()
    """Everything below it that was seen, but for the next."""
    server: tuple[Identity, ...] = ()
    """The server and the keepers: these end by themselves, in the right order, once the host is gone."""
    directories: tuple[str, ...] = ()
    """The server's, which its keepers remove, if they live to do it."""
    port: int = 0
    """Of its server; 0 when that is not up yet."""
    kept: bool = False
    """Whether it was told to outlive the command that staged it."""

    @property
    def running(self) -> bool:
        """Whether the process that keeps it still does."""
        return self.boot == boot_id() and alive(self.host)


def write(record: Record) -> None:
    """Write it down, whole or not at all."""
    path = os.path.join(record.directory, _FILE)
    data = {
        "cookie": record.cookie,
        "boot": record.boot,
        "host": [record.host.pid, record.host.start],
        "processes": [[process.pid, process.start] for process in record.processes],
        "server": [[process.pid, process.start] for process in record.server],
        "directories": record.directories,
        "port": record.port,
        "kept": record.kept,
    }
    with open(os.open(path + ".new", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="ascii") as file:
        json.dump(data, file)
    os.replace(path + ".new", path)


def read(directory: str) -> Record | None:
    """The record in a directory; None unless both are our own and nobody else can write there."""
    try:
        status = os.lstat(directory)
        if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.geteuid() or status.st_mode & 0o022:
            return None
        with open(os.path.join(directory, _FILE), encoding="ascii") as file:
            data = json.load(file)
        host, *processes = _identities([data["host"], *data["processes"]])
        server = tuple(_identities(data["server"]))
        cookie, boot, port, kept = str(data["cookie"]), str(data["boot"]), int(data["port"]), bool(data["kept"])
        directories = tuple(map(str, data["directories"]))
        return Record(directory, cookie, boot, host, tuple(processes), server, directories, port, kept)
    except (OSError, ValueError, TypeError, KeyError):
        return None


def _identities(pairs: list[list[int]]) -> list[Identity]:
    return [Identity(int(pid), int(start)) for pid, start in pairs]


def records() -> list[Record]:
    """The stagings of this user on this host, those of killed demos included."""
    found = []
    for place in dict.fromkeys(os.path.realpath(path) for path in (*_PLACES, tempfile.gettempdir())):
        try:
            names = [name for name in os.listdir(place) if name.startswith(PREFIX)]
        except OSError:
            continue
        found += [record for name in sorted(names) if (record := read(os.path.join(place, name))) is not None]
    return found


def stop(record: Record, seconds: float = 30.0) -> tuple[int, list[Identity]]:
    """End a staging: by the process that keeps it, if that runs; then whatever is left of it.

    How many of its programs have ended, and which processes are still there.
    """
    before = [process for process in record.processes if alive(process)]
    if record.running and end(record.host, signal.SIGTERM):
        _wait_for([record.host], seconds)
    left = clear(record)
    return sum(not alive(process) for process in before), left


def clear(record: Record, seconds: float = 15.0) -> list[Identity]:
    """End what is left of a staging whose host is gone, and remove its directory; which processes stayed."""
    this_boot = record.boot == boot_id()
    known = (record.host, *record.processes) if this_boot else ()
    left = end_all(lambda: {*marked(record.cookie), *filter(alive, known)})[1]
    server = record.server if this_boot else ()
    _wait_for(server, seconds)
    for path in (*record.directories, record.directory):
        shutil.rmtree(path, ignore_errors=True)
    return [*left, *filter(alive, server)]


def _wait_for(processes: Iterable[Identity], seconds: float) -> None:
    """Until they have ended, or the time is over."""
    deadline = time.monotonic() + seconds
    while any(map(alive, processes)) and time.monotonic() < deadline:
        time.sleep(0.02)
