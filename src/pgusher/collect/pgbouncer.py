"""PgBouncer's configuration: its pools, by the file that it was started with. Its passwords are never kept.

The file is read as PgBouncer reads it: `key = value`, sections in brackets, %include. Source: pgbouncer's
src/loader.c and lib/usual/cfparser.c. What was changed in its admin console and not written is not seen.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator

from pgusher.collect import rooted
from pgusher.model.evidence import Gap
from pgusher.model.poolers import DEFAULT_POOL_SIZE, Pooler, PoolerDatabase, PoolerUser
from pgusher.model.process import Process
from pgusher.model.redact import redact_text
from pgusher.model.text import clean, decode
from pgusher.model.values import dataclass

_BYTES = 1 << 20
_TOLD = 3
_DEEPEST = 5
_MOST = 10_000
_LINE = re.compile(r'\s*("(?:[^"]|"")*"|[^\s=]+)\s*=\s*(.*)')
_NUMBER = re.compile(r"-?[0-9]{1,9}")
_NUMBERS = frozenset(
    {
        "default_pool_size",
        "pool_size",
        "reserve_pool",
        "reserve_pool_size",
        "max_db_connections",
        "max_user_connections",
    }
)
"""Settings that are numbers, and count here."""
_WORD = re.compile(r"\s*([A-Za-z_]+)\s*=\s*('(?:[^']|'')*'|[^\s']*)")


@dataclass(frozen=True, slots=True)
class PoolerFacts:
    """The poolers of this host, and what of them could not be read."""

    poolers: tuple[Pooler, ...] = ()
    gaps: tuple[Gap, ...] = ()


@dataclass(frozen=True, slots=True)
class Wrong:
    """A place of the configuration that could not be read, or makes no sense: its pools are not known."""

    place: str
    why: str
    opens: str = "correct the file"


def is_pgbouncer(process: Process) -> bool:
    """Whether this is PgBouncer itself."""
    return (process.exe or (process.argv[0] if process.argv else "")).rpartition("/")[2] == "pgbouncer"


def look(processes: Iterable[Process], proc: str = "/proc") -> PoolerFacts:
    """Each PgBouncer among these processes. Raises nothing."""
    poolers, gaps = [], []
    for process in processes:
        if not is_pgbouncer(process):
            continue
        file = _file_of(process)
        if file is None:
            gaps.append(
                Gap("pgbouncer", f"the configuration of process {process.pid}", "its command line names none", "")
            )
            continue
        try:
            wrong: list[Wrong] = []
            poolers.append(read(f"{proc}/{process.pid}/root", file, process.pid, wrong))
            gaps += [Gap("pgbouncer", one.place, one.why, one.opens) for one in wrong[:_TOLD]]
        except OSError as error:
            opens = "run pgusher as root" if rooted.is_denied(error) else ""
            gaps.append(Gap("pgbouncer", f"{rooted.name_of(file)}", rooted.reason(error), opens))
    return PoolerFacts(tuple(poolers), tuple(gaps))


def read(root: str, file: str, pid: int = 0, wrong: list[Wrong] | None = None) -> Pooler:
    """What one file says. Raises OSError when it cannot be read; what makes no sense in it goes into `wrong`."""
    databases: list[PoolerDatabase] = []
    users: list[PoolerUser] = []
    numbers: dict[str, tuple[int, int]] = {}
    wrong = [] if wrong is None else wrong
    for section, key, value, place, line in _lines(root, file, wrong):
        if section == "pgbouncer":
            if key in _NUMBERS and _NUMBER.fullmatch(value):
                numbers[key] = max(0, int(value)), line
            elif key in _NUMBERS:
                wrong.append(_no_number(key, value, place, line))
        elif section in ("databases", "users"):
            for name, told in _words(value).items():
                if name in _NUMBERS and told and not _NUMBER.fullmatch(told):
                    wrong.append(_no_number(name, told, place, line))
            if section == "databases" and len(databases) < _MOST:
                databases.append(_database(key, value, line))
            elif section == "users" and len(users) < _MOST:
                users.append(_user(key, value, line))

    def number(key: str, default: int = 0) -> int:
        return numbers.get(key, (default, 0))[0]

    return Pooler(
        pid,
        rooted.name_of(file),
        tuple(databases),
        number("default_pool_size", DEFAULT_POOL_SIZE),
        number("reserve_pool_size"),
        number("max_db_connections"),
        number("max_user_connections"),
        numbers.get("default_pool_size", (0, 0))[1],
        tuple(users),
    )


def _file_of(process: Process) -> str | None:
    """The last word of its command line that is no option, below its working directory."""
    word = process.argv[-1] if len(process.argv) > 1 else "-"
    if word.startswith("-"):
        return None
    if word.startswith("/"):
        return word
    return f"{process.cwd}/{word}" if process.cwd else None


def _lines(
    root: str, file: str, wrong: list[Wrong], deep: int = 0, section: str = ""
) -> Iterator[tuple[str, str, str, str, int]]:
    """(section, key, value, file, line)."""
    text = decode(rooted.read_file(root, file, _BYTES))
    for number, line in enumerate(text.split("\n"), 1):
        bare = line.strip()
        if not bare or bare[0] in ";#":
            continue
        if bare.startswith("%include"):
            inner = bare.removeprefix("%include").strip()
            place = os.path.join(os.path.dirname(file), inner)
            if deep >= _DEEPEST:
                wrong.append(Wrong(f"{rooted.name_of(file)}:{number}", "the files include each other too deep"))
                continue
            try:
                yield from _lines(root, place, wrong, deep + 1, section)
            except OSError as error:
                opens = "run pgusher as root" if rooted.is_denied(error) else "correct the file"
                said = f"{rooted.name_of(place)}: {rooted.reason(error)}"
                wrong.append(Wrong(f"{rooted.name_of(file)}:{number}", said, opens))
        elif bare.startswith("[") and "]" in bare:
            section = bare[1 : bare.index("]")].strip()
        elif match := _LINE.fullmatch(line):
            name = match[1]
            if name.startswith('"') and name.endswith('"') and len(name) > 1:
                name = name[1:-1].replace('""', '"')
            yield section, name, match[2].strip(), file, number
        else:
            wrong.append(Wrong(f"{rooted.name_of(file)}:{number}", "it is no setting"))


def _no_number(key: str, value: str, file: str, line: int) -> Wrong:
    return Wrong(f"{rooted.name_of(file)}:{line}", f"{key}: expected a number, got {clean(redact_text(value))[:40]}")


def _words(text: str) -> dict[str, str]:
    return {key.lower(): value.strip("'").replace("''", "'") for key, value in _WORD.findall(text)}


def _number(words: dict[str, str], key: str) -> int | None:
    value = words.get(key, "")
    return int(value) if _NUMBER.fullmatch(value) and int(value) >= 0 else None


def _user(name: str, text: str, line: int) -> PoolerUser:
    words = _words(text)
    size, reserve = _number(words, "pool_size"), _number(words, "reserve_pool_size")
    return PoolerUser(clean(name)[:100], size, reserve, _number(words, "max_user_connections"), line)


def _database(name: str, text: str, line: int) -> PoolerDatabase:
    words = _words(text)

    def number(key: str) -> int | None:
        return _number(words, key)

    host = words.get("host") or None
    return PoolerDatabase(
        clean(name)[:100],
        None if host is None or host.startswith("/") else clean(host)[:200],
        number("port") or 5432,
        clean(words["dbname"])[:100] if words.get("dbname") else None,
        clean(words["user"])[:100] if words.get("user") else None,
        number("pool_size"),
        number("reserve_pool") if "reserve_pool" in words else number("reserve_pool_size"),
        number("max_db_connections"),
        line,
    )
