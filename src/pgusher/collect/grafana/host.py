"""The Grafanas of this host, by their processes and files: without a token, and also when Grafana does not answer.

Each process is seen through its own root (/proc/PID/root), so that one in a container is read as well. Processes that
have the same files are one Grafana with replicas. What is made in its pages is in its database: that is read too when
it is the embedded one.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from typing import Any

from pgusher.collect import rooted
from pgusher.collect.grafana import ini as inis
from pgusher.collect.grafana import provisioning, sqlite
from pgusher.collect.grafana.sources import Setting, source_of
from pgusher.model.evidence import Gap
from pgusher.model.grafana import TYPES, DataSource, Figure, Grafana, Place, Seen
from pgusher.model.grafana_limits import OPEN, parse_version
from pgusher.model.process import Process
from pgusher.model.text import clean, decode
from pgusher.model.values import dataclass, replace

_INI = "/etc/grafana/grafana.ini"
_HOME = "/usr/share/grafana"
_FILES = 100
_BYTES = 1 << 18
_ENVIRONMENT_BYTES = 1 << 20
_AS_ROOT = "run pgusher as root"


def is_grafana(process: Process) -> bool:
    """Whether this is the server itself, which reads the files; its plugins get their settings from it."""
    name = (process.exe or (process.argv[0] if process.argv else "")).rpartition("/")[2]
    return name in {"grafana", "grafana-server"}


def read_host(processes: Iterable[Process], proc: str = "/proc") -> tuple[Grafana, ...]:
    """Each Grafana among these processes. Raises nothing: what may not be read is a gap of it."""
    found: dict[object, Grafana] = {}
    for process in processes:
        if not is_grafana(process):
            continue
        one = _Reading(process, proc).grafana()
        # Two that read the same files, or copies of one image, have the same data sources: they are replicas.
        key = (one.version, one.seen, one.sources, one.own) if one.sources else process.pid
        known = found.get(key)
        if known is None:
            found[key] = one
        else:
            pids = (*known.processes, process.pid)
            found[key] = replace(known, processes=pids, replicas=len(pids), replicas_from=f"{len(pids)} processes")
    return tuple(found.values())


def of_files(root: str, home: str | None = None) -> Grafana:
    """A Grafana that does not run, by the files below a directory."""
    return _Reading(
        Process(0, 0, 0, 0, "grafana", 0, argv=(f"--homepath={home}",) if home else ()), root, bare=True
    ).grafana()


@dataclass(frozen=True, slots=True)
class _Provisioned:
    """A data source of a file, in the words of the API."""

    told: dict[str, Any]
    place: Place
    limit_place: Place | None
    origin: str


class _Reading:
    """One process."""

    def __init__(self, process: Process, proc: str, *, bare: bool = False) -> None:
        self._process = process
        self._root = proc if bare else f"{proc}/{process.pid}/root"
        self._environ = None if bare else f"{proc}/{process.pid}/environ"
        self._gaps: list[Gap] = []

    def grafana(self) -> Grafana:
        words = inis.options(self._process.argv)
        environment = self._environment()
        for name, option in inis.HOMES.items():
            if name in environment:
                words.setdefault(option, environment[name])
        home = words.get("homepath", _HOME)
        path, content = self._ini_file(words.get("config", ""), home)
        ini = inis.settings(content, path, words, environment)
        version = self._version(home)
        defaults = inis.defaults(ini)
        provisioned = self._provisioned(_path(ini, "provisioning", home, "/etc/grafana/provisioning"))
        rows, seen = self._rows(ini, home)
        sources = _joined(rows, provisioned, version, defaults)
        if version is None and any(one.limits.max_open.default for one in sources):
            what = "the version of Grafana, and with it its default limit"
            self._gaps.append(Gap("grafana", what, f"{home}/VERSION does not tell", "PGUSHER_GRAFANA_URL"))
        pid = self._process.pid
        return Grafana(
            path or "Grafana",
            version,
            seen,
            tuple(sorted(sources, key=lambda one: (one.org, one.name.casefold(), one.uid))),
            replicas_from="one process" if pid else "one is assumed",
            processes=(pid,) if pid else (),
            own=inis.own_database(ini),
            default_open=defaults.get("max_open_conns_default"),
            gaps=tuple(self._gaps),
        )

    def places(self) -> tuple[str, str, str, str]:
        """As `places_of`."""
        words = inis.options(self._process.argv)
        environment = self._environment()
        for name, option in inis.HOMES.items():
            if name in environment:
                words.setdefault(option, environment[name])
        home = words.get("homepath", _HOME)
        path, content = self._ini_file(words.get("config", ""), home)
        ini = inis.settings(content, path, words, environment)
        told = ini.get(("database", "path"))
        file = told.value if told is not None and told.value else "grafana.db"
        data = _path(ini, "data", home, "/var/lib/grafana")
        provisioned = _path(ini, "provisioning", home, "/etc/grafana/provisioning")
        return self._root, provisioned, os.path.join(data, file), _elsewhere(ini)

    def _environment(self) -> dict[str, str]:
        """Those names alone that are wanted: the others may be secrets."""
        if self._environ is None:
            return {}
        try:
            raw = rooted.read_file("", self._environ, _ENVIRONMENT_BYTES)
        except FileNotFoundError:
            return {}
        except OSError as error:
            self._gap("the environment of Grafana", error)
            return {}
        pairs = (item.partition(b"=") for item in raw.split(b"\0"))
        return {
            name: decode(value)
            for key, _, value in pairs
            if (name := decode(key)) in inis.ENVIRONMENT | inis.HOMES.keys()
        }

    def _ini_file(self, named: str, home: str) -> tuple[str, str]:
        for path in filter(None, (named, os.path.join(home, "conf/custom.ini"), _INI)):
            content = self._read(path, told=path == named)
            if content is not None:
                return path, content
        return "", ""

    def _version(self, home: str) -> str | None:
        content = self._read(os.path.join(home, "VERSION"))
        found = (content or "").strip()[:40]
        return found if parse_version(found) is not None else None

    def _provisioned(self, directory: str) -> list[_Provisioned]:
        listed = os.path.join(directory, "datasources")
        try:
            names = rooted.list_directory(self._root, listed)
        except OSError as error:
            if rooted.is_denied(error):
                self._gap(listed, error)
            return []  # without the directory nothing is provisioned
        found = []
        files = [name for name in names if name.endswith((".yaml", ".yml"))]
        if len(files) > _FILES:
            told = f"{len(files) - _FILES} of {len(files)} files in {rooted.name_of(listed)}"
            self._gaps.append(Gap("grafana", told, f"{_FILES} are read at most", ""))
        for name in files[:_FILES]:
            path = os.path.join(listed, rooted.name_of(name))
            content = self._read(os.path.join(listed, name), told=True)
            if content is None:
                continue
            if len(content.encode()) >= _BYTES:  # cut: and a number at its end may be half of one
                self._gaps.append(Gap("grafana", path, f"it is over {_BYTES >> 10} KiB", "split the file"))
                continue
            try:
                entries = provisioning.read(content)
            except provisioning.YamlError as error:
                self._gaps.append(Gap("grafana", path, f"it is no YAML: {error}", "correct the file"))
                continue
            found += [_entry(one, path) for one in entries if one.told.get("type") in TYPES]
        return found

    def _rows(self, ini: inis.Ini, home: str) -> tuple[list[Mapping[str, Any]], Seen]:
        elsewhere = _elsewhere(ini)
        if elsewhere:
            what = "data sources that were made in its pages"
            why = f"they are in its {elsewhere} database"
            self._gaps.append(Gap("grafana", what, why, "PGUSHER_GRAFANA_URL and a token"))
            return [], Seen.FILES
        name = ini.get(("database", "path"))
        data = _path(ini, "data", home, "/var/lib/grafana")
        path = os.path.join(data, name.value if name is not None and name.value else "grafana.db")
        try:
            real = rooted.real_path(self._root, path)
            os.stat(real)
        except FileNotFoundError:
            if self._environ is not None:
                opens = "PGUSHER_GRAFANA_URL and a token"
                self._gaps.append(Gap("grafana", "data sources that were made in its pages", f"no {path}", opens))
            return [], Seen.FILES
        except OSError as error:
            self._gap(path, error)
            return [], Seen.FILES
        try:
            return sqlite.read(real), Seen.SQLITE
        except sqlite.SqliteError as error:
            opens = _AS_ROOT if not os.access(real, os.R_OK, effective_ids=True) else "try again, or give a token"
            self._gaps.append(Gap("grafana", path, str(error), opens))
            return [], Seen.FILES

    def _read(self, path: str, *, told: bool = False) -> str | None:
        try:
            return decode(rooted.read_file(self._root, path, _BYTES))
        except FileNotFoundError:
            return None
        except OSError as error:
            if told or rooted.is_denied(error):
                self._gap(path, error)
            return None

    def _gap(self, what: str, error: OSError) -> None:
        opens = _AS_ROOT if rooted.is_denied(error) else ""
        self._gaps.append(Gap("grafana", rooted.name_of(what), rooted.reason(error), opens))


def _entry(entry: provisioning.Entry, path: str) -> _Provisioned:
    told = dict(entry.told)
    told["readOnly"] = told.pop("editable", None) is not True
    line = entry.lines.get(OPEN)
    origin = f"{path}:{line or entry.line}"
    return _Provisioned(told, Place(path, entry.line), Place(path, line) if line else None, origin)


def _joined(
    rows: list[Mapping[str, Any]], provisioned: list[_Provisioned], version: str | None, ini: Mapping[str, Figure]
) -> list[DataSource]:
    """What the database has, with the file that each comes from; what a file alone has is not started with yet."""
    found = []
    left = list(provisioned)
    for row in rows:
        mine = next((one for one in left if _same(one.told, row)), None)
        if mine is not None:
            left.remove(mine)
        setting = Setting(version, ini, mine.origin if mine and row.get("readOnly") else "grafana.db")
        source = source_of(row, setting, mine.place if mine else None, mine.limit_place if mine else None)
        found += [source] if source is not None else []
    for one in left:
        source = source_of(one.told, Setting(version, ini, one.origin), one.place, one.limit_place)
        found += [source] if source is not None else []
    return found


def _same(told: Mapping[str, Any], row: Mapping[str, Any]) -> bool:
    if (told.get("orgId") or 1) != row.get("orgId"):
        return False
    return told["uid"] == row.get("uid") if told.get("uid") else told.get("name") == row.get("name")


def _path(ini: inis.Ini, key: str, home: str, usual: str) -> str:
    """A path of [paths]: a relative one is below the home path (pkg/setting: makeAbsolute)."""
    told = ini.get(("paths", key))
    if told is None or not told.value or "$" in told.value:
        return usual
    return told.value if told.value.startswith("/") else os.path.join(home, told.value)


def _elsewhere(ini: inis.Ini) -> str:
    """What keeps its tables, "postgres" or "mysql" or "own", where that is no embedded database; else ""."""
    kind, url = ini.get(("database", "type")), ini.get(("database", "url"))
    if kind is not None and kind.value and kind.value != "sqlite3":
        return clean(kind.value)[:20]
    if url is not None and url.value and not url.value.startswith("sqlite"):
        scheme = url.value.partition(":")[0]
        return scheme if scheme in {"postgres", "mysql"} else "own"
    return ""


def places_of(process: Process, proc: str = "/proc") -> tuple[str, str, str, str]:
    """Its root as we see it, below that its provisioning files and its database, and what keeps its tables instead.

    The last is "postgres" for example, and "" where it is the embedded database.
    """
    return _Reading(process, proc).places()
