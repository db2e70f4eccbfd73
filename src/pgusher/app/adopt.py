"""`pgusher cron`: crontab lines and units put under a limit, and those that have none."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence

from pgusher.app.crontabs import Crontabs, Table, find_program
from pgusher.attribute.command import job_label
from pgusher.attribute.guarded import names_in
from pgusher.attribute.names import slug
from pgusher.collect.systemd import files, names
from pgusher.collect.systemd.manager import Manager
from pgusher.collect.systemd.timers import Timers
from pgusher.diagnose.schedule import shortest_pause
from pgusher.errors import RefusedError
from pgusher.guard.adopt import ADOPTED, GUARDED, Line, Micros, adopt, limit_of
from pgusher.guard.history import directory, open_history
from pgusher.guard.history_entry import Entry
from pgusher.model.evidence import Gap
from pgusher.model.jobs import CronEntry
from pgusher.model.pattern import pattern
from pgusher.model.redact import redact_text
from pgusher.model.text import decode
from pgusher.model.values import dataclass

SECOND: Micros = 1_000_000
_TIMEOUT = pattern(r"\bpgusher['\"]? run\b(?:(?! -- ).)* (?:--timeout\b|-t)")
_NO_TIMEOUT = pattern(_TIMEOUT.pattern + r"[ =]?none\b")
_HISTORY = 2000
"""Runs that are looked through for overlaps."""


@dataclass(frozen=True, slots=True)
class Adoption:
    """One crontab, and what is to become of its jobs."""

    table: Table
    raw: bytes
    """As it would be."""
    lines: tuple[Line, ...]

    @property
    def changes(self) -> tuple[Line, ...]:
        """The jobs that would be guarded."""
        return tuple(line for line in self.lines if line.state == ADOPTED)


@dataclass(frozen=True, slots=True)
class DropIn:
    """A unit without a start timeout, and the file that gives it one."""

    unit: str
    timers: tuple[str, ...]
    file: str
    """Where the drop-in would be."""
    text: str
    limit: str
    """"" when no limit follows from its timers."""
    packaged: bool
    """Whether the unit came with the system, not from its administrator."""


@dataclass(frozen=True, slots=True)
class Trouble:
    """What `pgusher cron check` found."""

    kind: str
    """"no limit", "no start timeout" or "overlap"."""
    what: str
    why: str
    remedy: str
    counts: bool = True
    """False for what is told and does not make the check fail: units that came with the system."""


class Cron:
    """The use cases of `pgusher cron`."""

    def __init__(self, crontabs: Crontabs | None = None, *, root: str = "/", program: str | None = None) -> None:
        self._backups = os.path.join(os.path.dirname(directory()), "crontabs")
        self._crontabs = crontabs or Crontabs(self._backups)
        self._root = root
        self._program = program

    def adoptions(self, wanted: Sequence[str] = ()) -> tuple[list[Adoption], list[Gap]]:
        """All crontabs, or those whose file, user or job is named.

        Raises PgusherError when it cannot be said how cron finds pgusher.
        """
        tables, gaps = self._crontabs.read()
        program = self._program or find_program()
        longest = self._crontabs.dialect.longest
        found = []
        # Two jobs of one name would wait for each other: a user's names are told apart over all tables.
        taken = {(e.user, name) for t in tables for e in t.parsed.entries for name in names_in(e.command)}

        numbers: dict[tuple[str | None, str], int] = {}

        def terms(entry: CronEntry) -> tuple[str, Micros | None]:
            base = name = _job_name(entry)
            # On from the last one: ten thousand lines of one script would be fifty million looks.
            number = numbers.get((entry.user, base), 1)
            while (entry.user, name) in taken:
                number += 1
                name = f"{base}-{number}"
            numbers[entry.user, base] = number
            taken.add((entry.user, name))
            return name, shortest_pause(entry)

        for table in tables:
            raw, lines = adopt(table.raw, table.parsed.entries, terms, program=program, longest=longest)
            if wanted and not {table.place, table.user} & set(wanted):
                chosen = tuple(line for line in lines if line.name in wanted)
                if not chosen:
                    continue
                raw, lines = _only(table, chosen), chosen
            _prove(table, raw, lines)
            found.append(Adoption(table, raw, lines))
        return found, gaps

    def apply(self, adoption: Adoption) -> str:
        """Writes it, and gives the path of what was there before. Raises RefusedError."""
        return self._crontabs.write(adoption.table, adoption.raw)

    def drop_ins(self) -> list[DropIn]:
        """The oneshot services that a timer starts and nothing ends: systemd gives them all the time in the world."""
        manager = Manager(self._root, files.SYSTEM, None)
        timers = Timers(manager)
        found = []
        for unit in sorted(manager.names(".service")):
            file = manager.find(unit)
            started_by = timers.of(unit)
            if file is None or not started_by or manager.is_masked(file):
                continue
            settings = manager.settings(unit, file)
            given = settings.get(("Service", "TimeoutStartSec")) or settings.get(("Service", "TimeoutSec"))
            if settings.get(("Service", "Type")) != "oneshot" or given not in (None, "", "infinity", "0"):
                continue
            pause = timer_pause(manager, started_by)
            limit = limit_of(pause) if pause else ""
            text = f"[Service]\nTimeoutStartSec={limit}\n" if limit else ""
            place = f"/etc/systemd/system/{unit}.d/pgusher.conf"
            packaged = not file.startswith(("/etc/", "/run/"))
            found.append(DropIn(unit, started_by, place, text, limit, packaged))
        return found

    def write_drop_in(self, one: DropIn) -> str:
        """Writes the file, never over another. Gives its path. Raises RefusedError."""
        path = os.path.join(self._root, one.file.lstrip("/"))
        try:
            os.makedirs(os.path.dirname(path), mode=0o755, exist_ok=True)
            with open(path, "x", encoding="ascii") as file:
                file.write(one.text)
        except OSError as error:
            why = (error.strerror or str(error)).lower()
            raise RefusedError(f"{one.file} could not be written: {why}") from None
        return one.file

    def troubles(self) -> tuple[list[Trouble], list[Gap]]:
        """Jobs without a limit, units without one, runs that overlapped."""
        tables, gaps = self._crontabs.read()
        found: list[Trouble] = []
        for table in tables:
            _, lines = adopt(table.raw, table.parsed.entries, lambda e: (_job_name(e), shortest_pause(e)))
            found += [bad for line in lines if (bad := _unlimited(table, line)) is not None]
        for one in self.drop_ins():
            remedy = "pgusher cron adopt --systemd" if one.limit else f"systemctl edit {one.unit}: TimeoutStartSec="
            why = f"oneshot, started by {', '.join(one.timers)}, and may run for ever"
            found.append(Trouble("no start timeout", one.unit, why, remedy, counts=not one.packaged))
        found += overlaps(open_history().entries(most=_HISTORY))
        return found, gaps


def _job_name(entry: CronEntry) -> str:
    """As the guard takes it: letters, digits and . _ - only."""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", slug(job_label(entry.command))).strip("-._")[:56] or "job"


def _unlimited(table: Table, line: Line) -> Trouble | None:
    entry = line.entry
    what = f"{table.place}:{entry.line} {job_label(entry.command)}"
    if line.state == GUARDED:
        remedy = "pgusher run --timeout TIME -- COMMAND"
        if _NO_TIMEOUT.search(entry.command):
            return Trouble("no limit", what, "its guard was told to set none", remedy)
        # Without one the guard takes it from the schedule, see `pgusher.app.run_limit`.
        if _TIMEOUT.search(entry.command) or shortest_pause(entry) is not None:
            return None
        return Trouble("no limit", what, "its guard has no --timeout, and none follows from its schedule", remedy)
    limited = _limited(entry.command)
    if limited:
        return Trouble(
            "no limit",
            what,
            f"{limited} ends it, and nothing tells of what it leaves",
            "pgusher cron adopt",
            counts=False,
        )
    if line.state == ADOPTED:
        return Trouble("no limit", what, f"schedule {entry.schedule}, and nothing ends a run", "pgusher cron adopt")
    # What is started once, or starts others, is no job of its own.
    alone = "run-parts" in line.why or entry.schedule.startswith("@reboot")
    return Trouble("no limit", what, line.why, "pgusher run --timeout TIME -- COMMAND", counts=not alone)


def _limited(command: str) -> str:
    """The program that ends it, if there is one in front."""
    from pgusher.attribute.shell import simple_commands

    for words in simple_commands(command):
        for word in words[:6]:
            if os.path.basename(word) == "timeout":
                return "timeout(1)"
    return ""


def overlaps(entries: Sequence[Entry]) -> list[Trouble]:
    """The jobs whose runs overlapped, or were kept from it, by the history."""
    by_job: dict[str, list[Entry]] = {}
    for entry in entries:
        by_job.setdefault(entry.job, []).append(entry)
    found = []
    for job, runs in sorted(by_job.items()):
        skipped = sum(one.ending == "skipped" for one in runs)
        ordered = sorted((one for one in runs if one.ending != "skipped"), key=lambda one: one.started)
        until: Micros = 0
        overlapped = 0
        for one in ordered:
            overlapped += one.started < until
            until = max(until, one.ended or 0)
        if skipped or overlapped:
            said = [f"{overlapped} of {len(runs)} runs began before the last one had ended"] if overlapped else []
            why = "as the last one was still there or slots were taken"
            said += [f"{skipped} of {len(runs)} runs were skipped, {why}"] if skipped else []
            found.append(Trouble("overlap", job, "; ".join(said), f"pgusher jobs show {job}"))
    return found


def _only(table: Table, chosen: Sequence[Line]) -> bytes:
    lines = table.raw.split(b"\n")
    for line in chosen:
        lines[line.entry.line - 1] = line.after
    return b"\n".join(lines)


def _prove(table: Table, raw: bytes, lines: Sequence[Line]) -> None:
    """That nothing but what was meant has changed, by reading what would be written. Raises RefusedError."""
    changed = {line.entry.line for line in lines if line.state == ADOPTED}
    before, after = table.raw.split(b"\n"), raw.split(b"\n")
    same = len(before) == len(after) and all(
        number in changed or old == new for number, (old, new) in enumerate(zip(before, after, strict=False), 1)
    )
    if not same:
        raise RefusedError(f"{table.place} would be changed beyond its jobs: nothing is done")


def diff(adoption: Adoption, context: int = 2) -> list[str]:
    """The change as a unified diff, without the secrets of the lines."""
    import difflib

    old, new = ([redact_text(decode(line)) for line in raw.split(b"\n")] for raw in (adoption.table.raw, adoption.raw))
    place = adoption.table.place
    return list(difflib.unified_diff(old, new, place, place, n=context, lineterm=""))


# -- timers


def timer_pause(manager: Manager, timers: Sequence[str]) -> Micros | None:
    """The shortest pause that all of them leave; None when one is not understood."""
    pauses = []
    for timer in timers:
        file = manager.find(timer)
        settings = manager.settings(timer, file) if file else {}
        calendar = settings.get(("Timer", "OnCalendar"))
        span = settings.get(("Timer", "OnUnitActiveSec")) or settings.get(("Timer", "OnUnitInactiveSec"))
        pause = calendar_pause(names.expand(calendar, timer)) if calendar else time_span(span or "")
        if pause is None:
            return None
        pauses.append(pause)
    return min(pauses, default=None)


_EVERY = {"minutely": 60, "hourly": 3600, "daily": 86400, "weekly": 7 * 86400, "monthly": 28 * 86400,
          "quarterly": 90 * 86400, "semiannually": 181 * 86400, "yearly": 365 * 86400,
          "annually": 365 * 86400}  # fmt: skip
_UNITS = {"": 1, "s": 1, "sec": 1, "second": 1, "seconds": 1, "m": 60, "min": 60, "minute": 60, "minutes": 60,
          "h": 3600, "hr": 3600, "hour": 3600, "hours": 3600, "d": 86400, "day": 86400, "days": 86400,
          "w": 7 * 86400, "week": 7 * 86400, "weeks": 7 * 86400}  # fmt: skip


def calendar_pause(text: str) -> Micros | None:
    """The shortest pause of OnCalendar=, for the forms of systemd.time(7) that a crontab has, too; else None."""
    from pgusher.model.jobs import CronKind

    plain = text.strip().lower()
    if plain in _EVERY:
        return _EVERY[plain] * SECOND
    found = re.fullmatch(
        r"(?:(?P<days>[a-z,.]+)\s+)?(?:\*-(?P<month>\*|[\d,/]+)-(?P<day>\*|[\d,/]+)\s+)?"
        r"(?P<hour>\*|[\d,/.*]+):(?P<minute>\*|[\d,/.*]+)(?::0?0)?",
        plain,
    )
    if found is None:
        return None
    fields = [found["minute"], found["hour"], found["day"] or "*", found["month"] or "*", found["days"] or "*"]
    written = [field.replace("..", "-") for field in fields]
    # "0/10" is from 0 on in steps of 10, which cron writes "0-59/10".
    for at, most in ((0, 59), (1, 23)):
        written[at] = re.sub(r"(?<![\d*])(\d+)/(\d+)", rf"\1-{most}/\2", written[at])
    return shortest_pause(CronEntry(CronKind.SYSTEM, "", 0, " ".join(written), ""))


def time_span(text: str) -> Micros | None:
    """ "1h 30min" in microseconds; None when it is not understood."""
    parts = re.findall(r"(\d+)\s*([a-z]*)", text.strip().lower())
    if not parts or "".join(parts[0]) == "" or re.sub(r"\d+\s*[a-z]*\s*", "", text.strip().lower()):
        return None
    if any(unit not in _UNITS for _, unit in parts):
        return None
    return sum(int(number) * _UNITS[unit] for number, unit in parts) * SECOND or None
