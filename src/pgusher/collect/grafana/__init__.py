"""Grafana's own limits for its data sources, as far as files tell.

Read are grafana.ini and the provisioning files of data sources, as the process sees them; data sources that were made
in its pages are in its database, and are not seen. Nothing else of these files is kept: they hold passwords.

Sources: "Configure Grafana" (paths, sql_datasources), "Provision Grafana" (datasources), and Grafana's
pkg/setting: custom.ini below the home path, `cfg:` words of the command line over the file.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator

from pgusher.collect.rooted import read_file
from pgusher.model.evidence import Gap
from pgusher.model.pools import PoolLimit
from pgusher.model.process import Process
from pgusher.model.redact import redact_text
from pgusher.model.text import clean, decode
from pgusher.model.values import dataclass

PROGRAM = "Grafana"
DEFAULT = 100
"""max_open_conns_default, from 9.5 on."""

_INI = "/etc/grafana/grafana.ini"
_PROVISIONING = "/etc/grafana/provisioning"
_DEFAULT_KEY = "max_open_conns_default"
_LIMIT_KEY = "maxOpenConns"
_FILES = 100
_BYTES = 1 << 18
_TYPES = frozenset({"postgres", "grafana-postgresql-datasource"})


@dataclass(frozen=True, slots=True)
class GrafanaFacts:
    """What the files of all Grafanas say."""

    pools: tuple[PoolLimit, ...] = ()
    gaps: tuple[Gap, ...] = ()


def is_grafana(process: Process) -> bool:
    """Whether this is the server itself, which reads the files; its plugins get their settings from it."""
    name = (process.exe or (process.argv[0] if process.argv else "")).rpartition("/")[2]
    return name in {"grafana", "grafana-server"}


def look(processes: Iterable[Process], proc: str = "/proc") -> GrafanaFacts:
    """The limits of each Grafana among these processes. Raises nothing: what may not be read is a gap."""
    pools: list[PoolLimit] = []
    gaps: list[Gap] = []
    for process in processes:
        if is_grafana(process):
            _look_at(process, f"{proc}/{process.pid}/root", pools, gaps)
    return GrafanaFacts(tuple(pools), tuple(gaps))


def _look_at(process: Process, root: str, pools: list[PoolLimit], gaps: list[Gap]) -> None:
    options = _options(process.argv)
    home = options.get("homepath", "")
    named = options.get("config", "")
    default: PoolLimit | None = None
    provisioning = options.get("cfg:default.paths.provisioning", "")
    for path in filter(None, (named, os.path.join(home, "conf/custom.ini") if home else "", _INI)):
        found = _read(root, path, gaps if path == named else None)
        if found is None:
            continue
        limit, line, told = read_ini(found)
        if limit is not None:
            default = PoolLimit(process.pid, PROGRAM, _DEFAULT_KEY, limit, path, line)
        provisioning = provisioning or told
        break
    directory = os.path.join(provisioning or _PROVISIONING, "datasources")
    pools += [default] if default is not None else []
    for path in _listed(root, directory):
        found = _read(root, path, gaps)
        for about, own, line in read_provisioning(found) if found is not None else ():
            limit = own if own is not None else default.limit if default is not None else DEFAULT
            pools.append(PoolLimit(process.pid, PROGRAM, _LIMIT_KEY, limit, path, line, about))


def _options(argv: Iterable[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    words = list(argv)
    for at, word in enumerate(words):
        name, mark, value = word.lstrip("-").partition("=")
        if not mark and word.startswith("-") and at + 1 < len(words):
            value = words[at + 1]
        if value:
            found.setdefault(name, value)
    return found


def _listed(root: str, directory: str) -> list[str]:
    from pgusher.collect.rooted import real_path

    try:
        names = sorted(os.listdir(real_path(root, directory)))
    except OSError:
        return []  # without the directory nothing is provisioned
    return [os.path.join(directory, name) for name in names if name.endswith((".yaml", ".yml"))][:_FILES]


def _read(root: str, path: str, gaps: list[Gap] | None) -> str | None:
    try:
        return decode(read_file(root, path, _BYTES))
    except FileNotFoundError:
        return None
    except OSError as error:
        if gaps is not None or isinstance(error, PermissionError):
            why = (error.strerror or str(error)).lower()
            (gaps if gaps is not None else []).append(Gap("grafana", path, why, "run pgusher as root"))
        return None


def read_ini(text: str) -> tuple[int | None, int, str]:
    """The default limit with its line, and the directory of provisioning; None, 0 and "" where they are not set."""
    section, limit, at, provisioning = "", None, 0, ""
    for number, line in enumerate(text.splitlines(), 1):
        word = line.strip()
        if word.startswith("[") and word.endswith("]"):
            section = word[1:-1].strip()
            continue
        key, mark, value = (part.strip() for part in word.partition("="))
        if not mark or key.startswith((";", "#")):
            continue
        if (section, key) == ("sql_datasources", _DEFAULT_KEY) and value.isascii() and value.isdigit():
            limit, at = int(value[:9]), number
        elif (section, key) == ("paths", "provisioning") and value.startswith("/"):
            provisioning = value
    return limit, at, provisioning


def read_provisioning(text: str) -> Iterator[tuple[str, int | None, int]]:
    """Each PostgreSQL data source of a provisioning file: its name, its limit (None when it has none), its line.

    The few lines that matter are found by their form, not by a YAML reader: that would be a dependency of a command
    that must start at once, and what is written otherwise is merely not seen.
    """
    name, kind, limit, at, depth = "", "", None, 0, -1
    for number, line in enumerate(text.splitlines(), 1):
        match = re.match(r"( *)(- +)?(\w+):\s*(.*?)\s*(?:#.*)?$", line)
        if match is None:
            continue
        blanks, dash, key, value = match.groups()
        if dash is not None and (depth < 0 or len(blanks) <= depth):
            if kind in _TYPES:
                yield name, limit, at
            name, kind, limit, at, depth = "", "", None, 0, len(blanks)
        value = value.strip("\"'")
        if key == "name" and not name:
            name = clean(redact_text(value[:120]))
        elif key == "type":
            kind = value
        elif key == _LIMIT_KEY and value.isascii() and value.isdigit():
            limit, at = int(value[:9]), number
    if kind in _TYPES:
        yield name, limit, at
