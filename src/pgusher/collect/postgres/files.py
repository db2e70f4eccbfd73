"""The ceilings by the server's own files and command line: for when it lets nobody in to be asked."""

from __future__ import annotations

import os
from collections.abc import Mapping

from pgusher.collect import rooted
from pgusher.collect.postgres import control
from pgusher.collect.postgres.conf import as_integer, parse_conf
from pgusher.collect.postgres.postmaster import Postmaster, data_directory, root_of
from pgusher.model.address import Micros
from pgusher.model.evidence import Certainty, Gap
from pgusher.model.server import Ceilings
from pgusher.model.text import decode
from pgusher.model.values import dataclass, field

DEFAULTS = {"max_connections": 100, "superuser_reserved_connections": 3, "reserved_connections": 0}
"""Source: PostgreSQL documentation, "Connections and Authentication". initdb writes max_connections down."""

_TICKS = 50_000
"""A start is told in ticks of 10 ms, and a file's change by a clock that is as coarse."""
_DEPTH = 10  # CONF_FILE_MAX_DEPTH in guc-file.l
_FILES = 500
"""Files that are read at most: one that includes itself thirty times would otherwise be read 30**10 times."""
_AS_ROOT = "run pgusher as root or as the server's own user"


@dataclass
class _Reading:
    """What was read of one server's files."""

    root: str
    values: dict[str, tuple[str, str]] = field(default_factory=dict)
    """Setting to its value and the file it is from."""
    newest: dict[str, float] = field(default_factory=dict)
    """When each file was last changed."""
    unread: list[tuple[str, str]] = field(default_factory=list)
    """Files that could not be read, and why."""
    wrong: list[str] = field(default_factory=list)
    files: int = 0
    """How many were opened; beyond _FILES none is, and what it says is not known."""

    def read(self, path: str, *, missing_ok: bool = False, depth: int = 0) -> None:
        """One file with all that it includes, at the place where it includes it: a later value wins."""
        if depth > _DEPTH:
            self.unread.append((path, "files include each other"))
            return
        self.files += 1
        if self.files > _FILES:
            if self.files == _FILES + 1:
                self.unread.append((path, f"more than {_FILES} files are included"))
            return
        try:
            raw = rooted.read_file(self.root, path)
            self.newest[path] = rooted.stat_file(self.root, path).st_mtime
        except OSError as error:
            if not (missing_ok and isinstance(error, FileNotFoundError)):
                self.unread.append((path, _reason(error)))
            return
        conf = parse_conf(decode(raw))
        self.wrong += [f"{path}:{line}" for line in conf.wrong]
        for item in conf.items:
            if self.files > _FILES:
                return
            there = os.path.join(os.path.dirname(path), item.value)
            if item.name == "include_dir":
                self._read_directory(there, depth)
            elif item.name in {"include", "include_if_exists"}:
                self.read(there, missing_ok=item.name == "include_if_exists", depth=depth + 1)
            else:
                self.values[item.name] = item.value, path

    def _read_directory(self, path: str, depth: int) -> None:
        try:
            names = os.listdir(rooted.real_path(self.root, path))
        except OSError as error:
            self.unread.append((path, _reason(error)))
            return
        for name in sorted(names, key=os.fsencode):  # as strcmp orders them
            if self.files <= _FILES and name.endswith(".conf") and not name.startswith("."):
                self.read(os.path.join(path, name), depth=depth + 1)


def read_ceilings(
    postmaster: Postmaster, started: Micros, proc: str = "/proc"
) -> tuple[Ceilings | None, tuple[Gap, ...]]:
    """The ceilings of a running server without asking it; None when nothing tells max_connections.

    They are LIKELY: a file may have been changed since the start (then GUESSED, as is a value that an unreadable file
    may override). `started` is the postmaster's start. Limits of roles and databases are in no file.
    """
    reading = _read_configuration(postmaster, proc)
    options = postmaster.options
    for name in DEFAULTS:
        if name in options:
            reading.values[name] = options[name], "the command line"
    running = _running(reading.root, data_directory(postmaster, proc))
    return _ceilings(reading, running, started), tuple(_gaps(reading))


def configured_port(postmaster: Postmaster, proc: str = "/proc") -> int | None:
    """The port of a server by its command line or files; None when they cannot be read."""
    options = postmaster.options
    text = options.get("port")
    if text is None:
        reading = _read_configuration(postmaster, proc)
        if reading.unread:
            return None
        text = reading.values.get("port", ("5432", ""))[0]
    port = as_integer(text)
    return port if port is not None and 1 <= port <= 0xFFFF else None


def _read_configuration(postmaster: Postmaster, proc: str) -> _Reading:
    data = data_directory(postmaster, proc)
    options = postmaster.options
    reading = _Reading(root_of(postmaster, proc))
    base = options.get("-D", data)
    main = options.get("config_file") or (os.path.join(base, "postgresql.conf") if base else None)
    if main and not main.startswith("/"):
        main = os.path.join(data, main) if data else None
    if not main:
        reading.unread.append(("postgresql.conf", "its place is not known"))
        return reading
    reading.read(main)
    # The file may say that the data is elsewhere (data_directory), and only the files there count.
    where = data or reading.values.get("data_directory", (base, ""))[0]
    if where:
        # Written by ALTER SYSTEM, read after all others.
        reading.read(os.path.join(where, "postgresql.auto.conf"), missing_ok=True)
    return reading


def _running(root: str, data: str | None) -> int | None:
    if data is None:
        return None
    try:
        return control.max_connections(rooted.read_file(root, os.path.join(data, "global/pg_control"), 8192))
    except OSError:
        return None


def _ceilings(reading: _Reading, running: int | None, started: Micros) -> Ceilings | None:
    values: dict[str, int] = {}
    sources: dict[str, str] = {}
    sure = not reading.unread and not reading.wrong
    for name in DEFAULTS:
        text, source = reading.values.get(name, ("", ""))
        value = as_integer(text) if source else None
        if value is None or value < 0:
            sure = sure and not source
            continue
        values[name], sources[name] = value, source
    if running is not None:
        values["max_connections"], sources["max_connections"] = running, "pg_control"
    elif "max_connections" not in values:
        if reading.unread or reading.wrong:
            return None
        sources["max_connections"] = "the default"
    changed = {s for s in sources.values() if reading.newest.get(s, 0) * 1_000_000 > started + _TICKS}
    told = sorted({f"{s} (changed after the server's start)" if s in changed else s for s in sources.values()})
    known: Mapping[str, int] = {**DEFAULTS, **values}
    return Ceilings(
        max_connections=known["max_connections"],
        superuser_reserved=known["superuser_reserved_connections"],
        reserved=known["reserved_connections"],
        certainty=Certainty.LIKELY if sure and not changed else Certainty.GUESSED,
        source=", ".join(told),
    )


def _gaps(reading: _Reading) -> list[Gap]:
    gaps = [Gap("postgres", "the limits of roles and databases", "they are in no file", "connect with SQL")]
    if reading.unread:
        path, why = reading.unread[0]
        denied = any(reason == "permission denied" for _, reason in reading.unread)
        gaps.append(
            Gap(
                "postgres",
                f"the ceilings in {path}",
                why,
                _AS_ROOT if denied or not path.startswith("/") else "",
                len(reading.unread),
            )
        )
    if reading.wrong:
        gaps.append(Gap("postgres", f"the ceilings after {reading.wrong[0]}", "syntax error", "", len(reading.wrong)))
    return gaps


def _reason(error: OSError) -> str:
    return (error.strerror or str(error)).lower()
