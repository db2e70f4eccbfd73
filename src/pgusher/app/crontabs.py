"""The crontabs of this user, or of this host for root: read and written by the ways that cron has for it.

A user's table goes through crontab(1), which locks it, checks it and wakes the daemon; a file of the system is replaced
whole, with its mode and owner. Before anything is written the old bytes are kept, and what is written is read again.
"""

from __future__ import annotations

import errno
import os
import stat
import subprocess
import time
from collections.abc import Callable, Sequence

from pgusher.collect.cron.crontab import Crontab, parse
from pgusher.collect.cron.dialect import Dialect, detect, red_hat_name
from pgusher.collect.cron.source import SPOOLS, SYSTEM_CRONTAB, SYSTEM_DIRECTORY
from pgusher.collect.users import Users
from pgusher.errors import PgusherError, RefusedError
from pgusher.model.evidence import Gap
from pgusher.model.jobs import CronKind
from pgusher.model.values import dataclass

_PATIENCE = 20.0
"""Seconds that crontab(1) may take."""
_LIMIT = 1 << 20


@dataclass(frozen=True, slots=True)
class Table:
    """One crontab as it was read."""

    kind: CronKind
    place: str
    """The file; for a user's table "crontab of bob"."""
    user: str | None
    """Whose table it is; None for a file of the system."""
    raw: bytes
    parsed: Crontab
    own: bool = False
    """True for the table of whoever runs this: crontab(1) is told no user then."""


class Crontabs:
    """Reads and writes them."""

    def __init__(self, backups: str, *, clock: Callable[[], float] = time.time, crontab: str = "crontab") -> None:
        """`backups` is the directory for what was there before; `crontab` the program for users' tables."""
        self._backups = backups
        self._clock = clock
        self._program = crontab
        self._root = os.geteuid() == 0
        self._users = Users("/")
        self.dialect: Dialect = detect("/")

    def read(self) -> tuple[list[Table], list[Gap]]:
        """All tables that are this user's to change; for root those of the host."""
        tables: list[Table] = []
        gaps: list[Gap] = []
        if self._root:
            for path in [SYSTEM_CRONTAB, *self._directory(SYSTEM_DIRECTORY)]:
                self._add(tables, gaps, path, lambda path=path: self._file(path))  # type: ignore[misc]
        for user, own in self._owners():
            self._add(tables, gaps, f"crontab of {user}", lambda u=user, o=own: self._table(u, o))  # type: ignore[misc]
        for table in tables:
            gaps += table.parsed.gaps
        return tables, gaps

    def write(self, table: Table, raw: bytes) -> str:
        """Puts other bytes in its place, and gives the path of what was there before.

        Raises RefusedError when it is not what was read, or is not what was written; then the old bytes are put back.
        """
        if self._now(table) != table.raw:
            raise RefusedError(f"{table.place} was changed since it was read", hint="look again: pgusher cron adopt")
        kept = self._keep(table)
        self._put(table, raw)
        if self._now(table) != raw:
            self._put(table, table.raw)
            raise RefusedError(f"{table.place} is not what was written: it was put back", detail=f"kept in {kept}")
        return kept

    # -- reading

    def _add(self, tables: list[Table], gaps: list[Gap], what: str, read: Callable[[], Table | None]) -> None:
        try:
            table = read()
        except OSError as error:
            gaps.append(Gap("cron", what, (error.strerror or str(error)).lower(), ""))
            return
        if table is not None:
            tables.append(table)

    def _directory(self, path: str) -> list[str]:
        try:
            names = sorted(os.listdir(path))
        except OSError:
            return []
        return [f"{path}/{name}" for name in names if not name.startswith(".") and self.dialect.name_counts(name)]

    def _owners(self) -> list[tuple[str, bool]]:
        me = self._users.name(os.geteuid()) or str(os.geteuid())
        if not self._root:
            return [(me, True)]
        found: dict[str, bool] = {}
        for spool in SPOOLS:
            try:
                names = os.listdir(spool)
            except OSError:
                continue
            for name in sorted(names):
                path = f"{spool}/{name}"
                if red_hat_name(name) and not name.startswith("tmp.") and os.path.isfile(path):
                    found[name] = False
        return sorted(found.items())

    def _file(self, path: str) -> Table | None:
        try:
            raw = _read(path)
        except FileNotFoundError:
            return None
        parsed = parse(raw, CronKind.SYSTEM, path, dialect=self.dialect, knows=self._users.knows)
        return Table(CronKind.SYSTEM, path, None, raw, parsed)

    def _table(self, user: str, own: bool) -> Table | None:
        raw = self._listed(user, own)
        if raw is None:
            return None
        place = f"crontab of {user}"
        return Table(
            CronKind.USER, place, user, raw, parse(raw, CronKind.USER, place, user=user, dialect=self.dialect), own
        )

    def _listed(self, user: str, own: bool) -> bytes | None:
        """The bytes of a user's table; None when there is none. Raises OSError.

        Debian's `crontab -l` writes a carriage return and other control characters as an escape, so that what it says
        is not what is there. An editor is given the bytes themselves; one that changes nothing installs nothing.
        """
        done = self._run(["-l"], user, own)
        said = _said(done)
        if done.returncode != 0:
            if "no crontab for" in said:
                return None
            raise OSError(0, said or f"crontab -l ended with {done.returncode}")
        if b"\\" not in done.stdout:
            return done.stdout
        edited = self._run(["-e"], user, own)
        if edited.returncode != 0:
            raise OSError(0, _said(edited) or f"crontab -e ended with {edited.returncode}")
        return edited.stdout

    def _run(self, words: Sequence[str], user: str, own: bool) -> subprocess.CompletedProcess[bytes]:
        command = [self._program, *([] if own else ["-u", user]), *words]
        try:
            return subprocess.run(
                command,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=_PATIENCE,
                check=False,
                env={**os.environ, "LC_ALL": "C", "EDITOR": "cat", "VISUAL": "cat"},
            )
        except subprocess.TimeoutExpired:
            raise OSError(0, f"crontab(1) took more than {_PATIENCE:g} s") from None

    # -- writing

    def _now(self, table: Table) -> bytes | None:
        try:
            return _read(table.place) if table.user is None else self._listed(table.user, table.own)
        except OSError:
            return None

    def _keep(self, table: Table) -> str:
        stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(self._clock()))
        name = table.place.replace("/", "_").replace(" ", "-").strip("_")
        path = os.path.join(self._backups, f"{stamp}-{name}")
        try:
            os.makedirs(self._backups, mode=0o700, exist_ok=True)
            number = 1
            while os.path.lexists(path):
                number += 1
                path = os.path.join(self._backups, f"{stamp}-{name}.{number}")
            _write(path, table.raw, 0o600)
        except OSError as error:
            why = (error.strerror or str(error)).lower()
            raise RefusedError(f"nothing was written: no copy of the old one could be kept: {why}", path) from None
        return path

    def _put(self, table: Table, raw: bytes) -> None:
        try:
            if table.user is None:
                self._replace(table.place, raw)
                return
            path = os.path.join(self._backups, f".new-{os.getpid()}")
            _write(path, raw, 0o600)
            try:
                done = self._run([path], table.user, table.own)
            finally:
                os.unlink(path)
        except OSError as error:
            why = (error.strerror or str(error)).lower()
            raise RefusedError(f"{table.place} could not be written: {why}") from None
        if done.returncode != 0:
            raise RefusedError(f"crontab(1) did not take it: {_said(done) or f'code {done.returncode}'}")

    def _replace(self, path: str, raw: bytes) -> None:
        """In one step, so that cron never reads half of it; a name with a dot first is read by no daemon."""
        found = os.lstat(path)
        if not stat.S_ISREG(found.st_mode) or found.st_nlink != 1:
            raise OSError(0, "it is a link, or has several names")
        new = os.path.join(os.path.dirname(path), f".pgusher-{os.getpid()}")
        try:
            _write(new, raw, stat.S_IMODE(found.st_mode))
            os.chown(new, found.st_uid, found.st_gid)
            os.rename(new, path)
        except OSError as error:
            if os.path.lexists(new):
                os.unlink(new)
            if error.errno != errno.EBUSY:
                raise
            # A mount of its own, as in a container: it can be written, and nothing can take its place.
            with open(path, "wb") as file:
                file.write(raw)


def _said(done: subprocess.CompletedProcess[bytes]) -> str:
    """The first line on standard error."""
    lines = done.stderr.decode("utf-8", "replace").strip().splitlines()
    return lines[0] if lines else ""


def _read(path: str) -> bytes:
    with open(path, "rb") as file:
        raw = file.read(_LIMIT + 1)
    if len(raw) > _LIMIT:
        raise OSError(27, "file too large", path)
    return raw


def _write(path: str, raw: bytes, mode: int) -> None:
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    with os.fdopen(fd, "wb") as file:
        os.fchmod(fd, mode)
        file.write(raw)
        file.flush()
        os.fsync(fd)


def find_program(name: str = "pgusher") -> str:
    """How cron finds this pgusher: its PATH is /usr/bin:/bin. Raises PgusherError when there is no file to name."""
    import shutil
    import sys

    own = os.path.abspath(sys.argv[0])
    if os.path.basename(own) == name and os.access(own, os.X_OK):
        path: str | None = own
    else:
        beside = os.path.join(os.path.dirname(sys.executable), name)
        path = beside if os.access(beside, os.X_OK) else shutil.which(name)
    if path is None:
        raise PgusherError("cannot tell where pgusher is installed", hint="call it by its path, as cron would")
    return name if os.path.dirname(path) in ("/usr/bin", "/bin") else path
