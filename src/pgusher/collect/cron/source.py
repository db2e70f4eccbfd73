"""All places in which cron daemons look for jobs, and how to read them again cheaply."""

from __future__ import annotations

import stat
from collections.abc import Callable, Iterable, Iterator
from functools import cache

from pgusher.collect import rights, rooted
from pgusher.collect.cron.anacron import parse_anacron
from pgusher.collect.cron.at import is_job_name, is_running, parse_at
from pgusher.collect.cron.crontab import Crontab, parse
from pgusher.collect.cron.dialect import ELSEWHERE, UNKNOWN, Dialect, classical_name, detect, lsb_name, red_hat_name
from pgusher.collect.users import Users
from pgusher.model.evidence import Gap
from pgusher.model.jobs import CronEntry, CronKind
from pgusher.model.values import dataclass, replace

SYSTEM_CRONTAB = "/etc/crontab"
SYSTEM_DIRECTORY = "/etc/cron.d"
ANACRONTAB = "/etc/anacrontab"
SPOOLS = ("/var/spool/cron/crontabs", "/var/spool/cron", "/etc/crontabs", "/var/spool/cron/tabs")
"""Debian and busybox; Red Hat; Alpine; SUSE."""
AT_SPOOLS = ("/var/spool/cron/atjobs", "/var/spool/at")
SCRIPTS = (
    ("/etc/cron.hourly", "@hourly"),
    ("/etc/cron.daily", "@daily"),
    ("/etc/cron.weekly", "@weekly"),
    ("/etc/cron.monthly", "@monthly"),
    ("/etc/cron.yearly", "@yearly"),
    ("/etc/periodic/15min", "*/15 * * * *"),
    ("/etc/periodic/hourly", "@hourly"),
    ("/etc/periodic/daily", "@daily"),
    ("/etc/periodic/weekly", "@weekly"),
    ("/etc/periodic/monthly", "@monthly"),
)
"""The directories of run-parts, each with when it is run if no crontab line says so."""

_DETECT_AFTER = 600  # looks after which it is asked again which daemon is installed
_NOTHING = Crontab(())


@dataclass(frozen=True, slots=True)
class CronFacts:
    """What `look` saw."""

    entries: tuple[CronEntry, ...]
    gaps: tuple[Gap, ...] = ()


class CronSource:
    """Looks at all crontabs again and again: a file or directory that has not changed is not read again."""

    def __init__(self, root: str = "/", extra: Iterable[str] = (), users: Users | None = None) -> None:
        """`extra` are further crontab files, or directories of such."""
        self._root = root
        self._extra = tuple(extra)
        self._users = users or Users(root)
        self._dialect: Dialect = UNKNOWN
        self._looks = 0
        self._files: dict[str, tuple[tuple[int, ...], Crontab]] = {}
        self._lists: dict[str, tuple[tuple[int, ...], list[str]]] = {}
        self._denied: dict[str, int] = {}
        self._gaps: list[Gap] = []
        self._seen: set[tuple[int, ...]] = set()

    def look(self) -> CronFacts:
        """The jobs of all places. A place that may not be read is a gap; one that is not there is none."""
        if self._looks % _DETECT_AFTER == 0:
            self._dialect = detect(self._root)
            self._files.clear()
        self._looks += 1
        self._gaps, self._denied, self._seen = [], {}, set()
        entries: list[CronEntry] = []
        for parsed in self._crontabs():
            entries += parsed.entries
            self._gaps += parsed.gaps
        entries += self._scripts(entries)
        entries += self._at_jobs()
        for path, count in self._denied.items():
            single = path in (SYSTEM_CRONTAB, ANACRONTAB, *self._extra) and path not in self._lists
            self._gaps.append(_denied(path, count, single=single))
        return CronFacts(tuple(entries), tuple(self._gaps))

    def _crontabs(self) -> Iterator[Crontab]:
        dialect, knows = self._dialect, cache(self._users.knows)
        yield self._file(SYSTEM_CRONTAB, lambda raw, file: _system(raw, file, dialect, knows))
        for name in self._names(SYSTEM_DIRECTORY):
            if not name.startswith(".") and dialect.name_counts(name):
                path = f"{SYSTEM_DIRECTORY}/{name}"
                yield self._file(path, lambda raw, file: _system(raw, file, dialect, knows), SYSTEM_DIRECTORY)
        for spool in SPOOLS:
            for name in self._names(spool):
                if red_hat_name(name) and not name.startswith("tmp."):
                    yield self._file(f"{spool}/{name}", lambda raw, file: _user(raw, file, dialect), spool)
        yield self._file(ANACRONTAB, parse_anacron)
        for path in self._extra:
            yield from self._elsewhere(path)

    def _elsewhere(self, path: str) -> Iterator[Crontab]:
        try:
            found = rooted.stat_file(self._root, path)
        except OSError as error:
            name = rooted.name_of(path)
            opens = rights.to_read_files() if rooted.is_denied(error) else "correct `crontabs` in the configuration"
            yield Crontab((), (Gap("cron", f"the crontab {name}", rooted.reason(error), opens),))
            return
        if not stat.S_ISDIR(found.st_mode):
            if rooted.signature_of(found)[:2] not in self._seen:
                yield self._file(path, self._either)
            return
        for name in self._names(path):
            if ELSEWHERE.name_counts(name):
                yield self._file(f"{path.rstrip('/')}/{name}", self._either, path)

    def _either(self, raw: bytes, file: str) -> Crontab:
        """A crontab of a shape that nobody told: it is tried both ways.

        It is a system crontab when the word behind the schedule is the name of a user in most of its lines; where
        nobody can say who is a user, when it is "root" in all of them. Else it is a user's: of the one that it is
        named after, if there is one, and of nobody in particular if not.
        """
        system = parse(raw, CronKind.SYSTEM, file, dialect=ELSEWHERE)
        if system.entries:
            known = [self._users.knows(entry.user or "") for entry in system.entries]
            if None in known:
                fits = all(entry.user == "root" for entry in system.entries)
            else:
                fits = sum(map(bool, known)) * 2 > len(known)
            if fits:
                return parse(raw, CronKind.SYSTEM, file, dialect=ELSEWHERE, knows=self._users.knows)
        name = file.rpartition("/")[2]
        user = name if self._users.knows(name) else None
        return parse(raw, CronKind.USER, file, user=user, dialect=ELSEWHERE)

    def _file(self, path: str, read: Callable[[bytes, str], Crontab], directory: str = "") -> Crontab:
        """One file, parsed again only when it has changed. `directory` is the one it was found in, if it was."""
        name = rooted.name_of(path)
        try:
            found = rooted.stat_file(self._root, path)
            if directory and not stat.S_ISREG(found.st_mode):
                return _NOTHING  # as cron, which passes over it
            signature = rooted.signature_of(found)
            self._seen.add(signature[:2])
            kept = self._files.get(path)
            if kept and kept[0] == signature:
                return kept[1]
            self._files.pop(path, None)
            raw = rooted.read_file(self._root, path)
        except FileNotFoundError:
            return _NOTHING
        except OSError as error:
            if rooted.is_denied(error):
                place = directory or path
                self._denied[place] = self._denied.get(place, 0) + 1
                return _NOTHING
            return Crontab((), (Gap("cron", f"the crontab {name}", rooted.reason(error), ""),))
        parsed = read(raw, name)
        if len(raw) == rooted.LIMIT:
            gap = Gap("cron", f"the end of {name}", f"over {rooted.LIMIT >> 20} MiB", "split the file")
            parsed = parsed._replace(gaps=(*parsed.gaps, gap))
        self._files[path] = (signature, parsed)
        return parsed

    def _names(self, directory: str) -> list[str]:
        """The names in a directory, each directory once, however many links lead to it."""
        signature = rooted.signature(self._root, directory)
        if signature is None:
            self._lists.pop(directory, None)
            return []
        if signature[:2] in self._seen:
            return []
        self._seen.add(signature[:2])
        kept = self._lists.get(directory)
        if kept and kept[0] == signature:
            return kept[1]
        try:
            names = rooted.list_directory(self._root, directory)
        except NotADirectoryError:
            return []
        except OSError as error:
            what = f"the jobs in {rooted.name_of(directory)}"
            self._gaps.append(Gap("cron", what, rooted.reason(error), rights.to_read_files()))
            return []
        self._lists[directory] = (signature, names)
        return names

    def _scripts(self, entries: list[CronEntry]) -> Iterator[CronEntry]:
        """The executable files of the directories that run-parts runs."""
        for directory, usual in SCRIPTS:
            names = self._names(directory)
            if not names:
                continue
            line = _line_that_runs(directory, entries)
            schedule = line.schedule if line and line.kind is not CronKind.ANACRON else usual
            counts = lsb_name if line and "--lsbsysinit" in line.command else classical_name
            if self._dialect.name_counts is red_hat_name:
                counts = red_hat_name
            for name in filter(counts, names):
                path = f"{directory}/{name}"
                if self._is_program(path):
                    file = rooted.name_of(path)
                    user = line.user if line else "root"
                    yield CronEntry(CronKind.RUN_PARTS, file, 0, schedule, file, user, name=rooted.name_of(name))

    def _is_program(self, path: str) -> bool:
        try:
            mode = rooted.stat_file(self._root, path).st_mode
        except OSError:
            return False
        return stat.S_ISREG(mode) and bool(mode & 0o111)

    def _at_jobs(self) -> list[CronEntry]:
        """The jobs of at: those that are run now, and of users who have none of these, those that wait."""
        running: list[CronEntry] = []
        waiting: list[CronEntry] = []
        for spool in AT_SPOOLS:
            for name in filter(is_job_name, self._names(spool)):
                parsed = self._file(f"{spool}/{name}", self._at_job, spool)
                (running if is_running(name) else waiting).extend(parsed.entries)
        busy = {entry.user for entry in running}
        return running + [entry for entry in waiting if entry.user not in busy]

    def _at_job(self, raw: bytes, file: str) -> Crontab:
        found = parse_at(raw, file, file.rpartition("/")[2])
        if found is None:
            return _NOTHING
        uid, entry = found
        return Crontab((replace(entry, user=None if uid is None else self._users.name(uid) or str(uid)),))


def look_cron(root: str = "/", extra: Iterable[str] = (), users: Users | None = None) -> CronFacts:
    """One look at all crontabs below `root`. See CronSource."""
    return CronSource(root, extra, users).look()


def _system(raw: bytes, file: str, dialect: Dialect, knows: Callable[[str], bool | None]) -> Crontab:
    return parse(raw, CronKind.SYSTEM, file, dialect=dialect, knows=knows)


def _user(raw: bytes, file: str, dialect: Dialect) -> Crontab:
    return parse(raw, CronKind.USER, file, user=file.rpartition("/")[2], dialect=dialect)


def _line_that_runs(directory: str, entries: list[CronEntry]) -> CronEntry | None:
    """The line that gives a directory to run-parts; anacron's own where there is one, as cron's then does nothing."""
    found = [
        entry
        for entry in entries
        if "run-parts" in entry.command and directory in entry.command.replace(";", " ").replace("}", " ").split()
    ]
    return next((entry for entry in found if entry.kind is CronKind.ANACRON), found[0] if found else None)


def _denied(path: str, count: int, *, single: bool) -> Gap:
    name = rooted.name_of(path)
    what = f"the crontab {name}" if single else f"{count} files in {name}"
    return Gap("cron", what, "permission denied", rights.to_read_files(), count)
