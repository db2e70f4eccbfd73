"""What became of the runs: an embedded store that is never a reason for a job to fail, to wait, or to be told twice.

A directory of one user's, with three parts:

- `running/RUN`: a run that has begun, one small file each. A run whose guard is killed leaves it behind, and is "lost".
- `history.db`: the runs that have ended, in SQLite, with the standard library's own journal (a write-ahead log keeps
  two more files and needs shared memory, which a home on a network does not have). Nobody waits for the disk: what a
  power failure destroys is moved aside, and a new store is begun.
- `spool/RUN`: runs that have ended while the store was locked, full or broken. The next one takes them in.

Each function that writes gives the warnings that came of it, and raises nothing.
"""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from pgusher.guard.history_entry import Entry, Micros, bounded, dumped, loaded
from pgusher.model.values import replace

if TYPE_CHECKING:
    import sqlite3

MOST = 10_000
"""Runs that are kept."""
OLDEST: Micros = 400 * 86400 * 1_000_000
"""How long they are kept: a job that runs once a year can be compared with its last run."""
_PATIENCE = 0.3
"""Seconds that a run waits for another that writes."""
_MOST_FILES = 1000
_LIMIT = 1 << 18

_TABLES = """
create table if not exists run (
    id integer primary key, run text not null unique, job text not null, started integer not null,
    ending text not null, entry text not null);
create index if not exists run_of_job on run (job, id);
"""

Alive = Callable[[int, int, str], bool]
"""Whether the process with that pid, start (in ticks) and boot is there."""


def directory(environ: Mapping[str, str] | None = None, uid: int | None = None) -> str:
    """Where a user's history is: below PGUSHER_STATE, /var/lib/pgusher for root, $XDG_STATE_HOME/pgusher for others.

    Cron gives its jobs a HOME; where there is none, the one of the user database is taken.
    """
    environ = os.environ if environ is None else environ
    if (state := environ.get("PGUSHER_STATE", "")).startswith("/"):
        return os.path.join(state, "history")
    if (os.geteuid() if uid is None else uid) == 0:
        return "/var/lib/pgusher/history"
    state = environ.get("XDG_STATE_HOME", "")
    if not state.startswith("/"):
        home = environ.get("HOME") or os.path.expanduser("~")
        state = os.path.join(home, ".local", "state")
    return os.path.join(state, "pgusher", "history")


class History:
    """The history of one user."""

    def __init__(self, path: str | None = None, *, alive: Alive | None = None, most: int = MOST) -> None:
        """`path`: its directory, made when something is written; another is taken when that cannot be."""
        self.path = path or directory()
        self._given = path is not None
        self._alive = alive or is_alive
        self._most = most

    # -- writing

    def begin(self, entry: Entry) -> list[str]:
        """A run has begun."""
        try:
            self._make()
            self._write("running", entry)
        except OSError as error:
            return [self._warning("begin", error)]
        return []

    def end(self, entry: Entry, now: Micros) -> list[str]:
        """A run has ended. Runs that were lost or are in the spool are taken in with it."""
        entry = bounded(entry)
        try:
            self._make()
        except OSError as error:
            return [self._warning("end", error)]
        warnings: list[str] = []
        try:
            done = [entry, *(replace(one, ending="lost") for one in self._lost() if one.run != entry.run)]
            spooled = list(self._files("spool"))
            self._store([*spooled, *done], now)
        except Exception as error:  # noqa: BLE001 - sqlite3.Error and OSError, and no error here may reach the job
            warnings += self._aside(error)
            try:
                self._write("spool", entry)
            except OSError as failed:
                return [*warnings[:-1], self._warning("end", failed)]  # once is enough
            done, spooled = [entry], []
        for kind, entries in (("running", done), ("spool", spooled)):
            for one in entries:
                self._remove(kind, one.run)
        return warnings

    def _store(self, entries: list[Entry], now: Micros) -> None:
        database = self._open(write=True)
        try:
            with database:
                database.executemany(
                    "insert or replace into run (run, job, started, ending, entry) values (?, ?, ?, ?, ?)",
                    [(one.run, one.job, one.started, one.ending, dumped(one)) for one in entries],
                )
                database.execute("delete from run where id <= (select max(id) from run) - ?", (self._most,))
                database.execute(
                    "delete from run where id in (select id from run order by id limit 100) and started < ?",
                    (now - OLDEST,),
                )
        finally:
            database.close()

    def _open(self, *, write: bool) -> sqlite3.Connection:
        import sqlite3  # late: a run needs it when its job has ended, and not before

        path = os.path.join(self.path, "history.db")
        if write:
            os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600))
            database = sqlite3.connect(path, timeout=_PATIENCE)
            # The job has ended, and who waits for its end shall not wait for the disk.
            database.execute("pragma synchronous = off")
            database.executescript(_TABLES)
            return database
        return sqlite3.connect(f"file:{_quoted(path)}?mode=ro", timeout=_PATIENCE, uri=True)

    def _aside(self, error: Exception) -> list[str]:
        """Moves a store away that is none."""
        import sqlite3

        path = os.path.join(self.path, "history.db")
        # "malformed", "not a database": as SQLite itself tells them from a lock or a full disk.
        broken = isinstance(error, sqlite3.DatabaseError) and getattr(error, "sqlite_errorcode", 0) & 0xFF in (11, 26)
        if not broken:
            return [f"the end of this run waits beside the history for the next: {_why(error)} ({self.path})"]
        try:
            os.replace(path, path + ".broken")
        except OSError as failed:
            return [self._warning("end", failed)]
        return [f"the history of jobs was broken, and is begun anew: the old one is {path}.broken"]

    # -- reading

    def running(self) -> list[Entry]:
        """The runs that have begun and not ended, the oldest first; those without their guard are "lost"."""
        found = [
            one if self._alive(one.guard_pid, one.guard_ticks, one.boot) else replace(one, ending="lost")
            for one in self._files("running")
        ]
        return sorted(found, key=lambda one: one.started)

    def entries(self, job: str | None = None, most: int = 100) -> list[Entry]:
        """The last runs that have ended, of one job or of all, the newest first."""
        found = [one for one in self._files("spool") if job in (None, one.job)]
        found += [one for one in self._lost() if job in (None, one.job)]
        where, values = ("where job = ?", (job, most)) if job is not None else ("", (most,))
        for (text,) in self._query(f"select entry from run {where} order by id desc limit ?", values):  # noqa: S608 - two constants
            entry = loaded(text)
            if entry is not None:
                found.append(entry)
        unique = {one.run: one for one in reversed(found)}
        return sorted(unique.values(), key=lambda one: one.started, reverse=True)[:most]

    def counts(self) -> dict[str, tuple[int, int]]:
        """For each job how many runs are kept, and how many of them did not end well."""
        rows = self._query("select job, count(*), sum(ending not in ('done', 'skipped')) from run group by job", ())
        return {job: (runs, bad) for job, runs, bad in rows}

    def last(self, *, skipped: bool = True) -> dict[str, Entry]:
        """The last run of each job that has ended; without `skipped` the last that was started at all."""
        found: dict[str, Entry] = {}
        where = "" if skipped else "where ending <> 'skipped'"
        rows = self._query(
            f"select entry from run where id in (select max(id) from run {where} group by job)",  # noqa: S608 - two constants
            (),
        )
        entries = [entry for (text,) in rows if (entry := loaded(text)) is not None]
        for entry in [*entries, *self._files("spool"), *self._lost()]:
            if entry.ending == "skipped" and not skipped:
                continue
            if entry.job not in found or found[entry.job].started <= entry.started:
                found[entry.job] = entry
        return found

    def _query(self, statement: str, values: tuple[object, ...]) -> list[Any]:
        """The rows; none where there is no store. Raises OSError when there is one that cannot be read."""
        import sqlite3

        path = os.path.join(self.path, "history.db")
        if not os.path.exists(path):
            return []
        try:
            database = self._open(write=False)
            try:
                return database.execute(statement, values).fetchall()
            finally:
                database.close()
        except sqlite3.Error as error:
            raise OSError(0, str(error), path) from None

    # -- the files

    def _lost(self) -> list[Entry]:
        return [one for one in self.running() if one.ending == "lost"]

    def _files(self, kind: str) -> Iterator[Entry]:
        place = os.path.join(self.path, kind)
        try:
            names = sorted(os.listdir(place))[:_MOST_FILES]
        except OSError:
            return
        for name in names:
            try:
                fd = os.open(os.path.join(place, name), os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
                with os.fdopen(fd, "rb") as file:
                    entry = loaded(file.read(_LIMIT))
            except OSError:
                continue
            if entry is not None and entry.run == name:
                yield entry

    def _write(self, kind: str, entry: Entry) -> None:
        place = os.path.join(self.path, kind)
        if "/" in entry.run or entry.run.startswith(".") or not entry.run:
            raise OSError(0, f"{entry.run!r} is no id of a run")
        os.makedirs(place, mode=0o700, exist_ok=True)
        path = os.path.join(place, entry.run)
        fd = os.open(f"{path}.new", os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        try:
            raw = dumped(entry).encode()
            os.posix_fallocate(fd, 0, len(raw))  # a full disk says so here, and nothing torn takes the place of what is
            os.write(fd, raw)
            os.rename(f"{path}.new", path)
        except OSError:
            os.unlink(f"{path}.new")
            raise
        finally:
            os.close(fd)

    def _remove(self, kind: str, run: str) -> None:
        with contextlib.suppress(OSError):
            os.unlink(os.path.join(self.path, kind, run))

    def _make(self) -> None:
        """The directory, made if need be; where that cannot be, the one that this user's processes share."""
        try:
            os.makedirs(self.path, mode=0o700, exist_ok=True)
            _check(self.path)
        except OSError:
            if self._given:
                raise
            self.path = _shared()
            os.makedirs(self.path, mode=0o700, exist_ok=True)

    def _warning(self, what: str, error: Exception) -> str:
        return f"the {what} of this run is not in the history: {_why(error)} ({self.path})"


def open_history() -> History:
    """The history of whoever runs this, for reading: where a run without a usable home would have put it, too."""
    own = History()
    if os.path.isdir(own.path):
        return own
    try:
        return History(_shared())
    except OSError:
        return own


def _check(path: str) -> None:
    """Raises OSError for a directory that is not ours alone, or cannot be written."""
    found = os.lstat(path)
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid() or found.st_mode & 0o022:
        raise OSError(1, "it is not ours alone", path)
    if not os.access(path, os.W_OK | os.X_OK):
        raise OSError(30, "it cannot be written", path)


def _why(error: Exception) -> str:
    return (getattr(error, "strerror", None) or str(error)).lower()


def _shared() -> str:
    """A directory for users without a home: what is there goes at a reboot. Raises OSError."""
    from pgusher.client.directory import find_directory
    from pgusher.errors import PgusherError

    try:
        return os.path.join(find_directory().path, f"history-{os.geteuid()}")
    except PgusherError as error:
        raise OSError(0, str(error)) from None


def _quoted(path: str) -> str:
    from urllib.parse import quote

    return quote(path)


def is_alive(pid: int, ticks: int, boot: str) -> bool:
    """Whether that very process is there: a pid alone may be another's by now."""
    try:
        with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
            if file.read().strip() != boot:
                return False
        with open(f"/proc/{pid}/stat", "rb") as stat_file:
            fields = stat_file.read().rpartition(b")")[2].split()
        return int(fields[19]) == ticks and fields[0] not in (b"Z", b"X")
    except (OSError, ValueError, IndexError):
        return False
