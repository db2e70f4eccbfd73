"""The budget of each server that was looked at, or of files alone: the wiring of pgusher.budget."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from pgusher.app.config import Config
from pgusher.app.look import Look
from pgusher.budget.found import Past
from pgusher.budget.grafana import of_one
from pgusher.budget.sheet import files, sheet
from pgusher.diagnose.text import span
from pgusher.errors import ConfigError, UsageError
from pgusher.model.budget import Amount, Claim, Sheet
from pgusher.model.evidence import Certainty, Gap
from pgusher.model.grafana import Seen
from pgusher.model.proposal import Proposal, Size
from pgusher.model.server import Ceilings
from pgusher.model.snapshot import Snapshot
from pgusher.model.values import replace

if TYPE_CHECKING:
    from pgusher.collect.grafana.client import Access
    from pgusher.model.plan import Step

_RUNS = 100


def sheets(look: Look, config: Config, *, history: bool = True) -> tuple[Sheet, ...]:
    """The budget of each server of a look, in its order.

    `history`: whether that of this user's jobs is asked, and what `pgusher record` keeps: not for a saved look.
    """
    past, gaps = _past() if history else ({}, ())
    made = []
    for snapshot in look.snapshots:
        memory, gap = _memory(snapshot, config.store) if history else ({}, None)
        one = sheet(snapshot, config.budgets, past, memory, _running(snapshot) if history else {})
        made.append(replace(one, gaps=(*one.gaps, *gaps, *((gap,) if gap is not None else ()))))
    return tuple(made)


def with_grafana(look: Look, asked: Access | None) -> Look:
    """The look with the Grafanas of this host that hold nothing now, too, and the named one as its API tells of it."""
    from pgusher.app.grafana import find, running

    here = {one for snapshot in look.snapshots for one in snapshot.facts.grafana}
    processes = running()
    if asked is None and len(processes) <= sum(len(one.processes) for one in here):
        return look  # all of them were looked at, through their sessions
    found = find(asked, processes)
    told = tuple(gap for one in found for gap in one.gaps if one.seen is Seen.API)
    snapshots = tuple(
        replace(one, facts=replace(one.facts, grafana=found, gaps=tuple(dict.fromkeys((*one.facts.gaps, *told)))))
        for one in look.snapshots
    )
    return replace(look, snapshots=snapshots)


def source_changes(
    snapshot: Snapshot, proposal: Proposal, asked: Access | None, token_file: str | None
) -> tuple[tuple[Step, ...], tuple[str, ...], frozenset[str]]:
    """The steps that set limits of data sources as proposed, by the API; and for those that a file sets, patches.

    The last are the data sources that both are about: "org/uid".
    """
    from pgusher.app.grafana import limit_step
    from pgusher.app.grafana_patch import patch
    from pgusher.errors import RefusedError

    known = {f"{one.org}/{one.uid}": (grafana, one) for grafana in snapshot.facts.grafana for one in grafana.sources}
    steps, texts, done = [], [], set()
    for share in proposal.shares:
        for setting, most in share.shared_out():
            if not share.changes or setting.source not in known or setting.value == str(most):
                continue
            grafana, source = known[setting.source]
            if grafana.seen is Seen.API and not source.read_only:
                try:
                    steps.append(limit_step(grafana, source, most, asked, token_file, snapshot))
                except RefusedError as error:
                    texts.append(f"data source {source.name}: {error}")
                    continue
            else:
                made = patch(grafana, source, most)
                texts.append(f"{made.text}\n{made.diff}".rstrip())
            done.add(setting.source)
    return tuple(steps), tuple(texts), frozenset(done)


def of_files(
    config: Config,
    max_connections: int,
    superuser_reserved: int = 3,
    reserved: int = 0,
    grafana: Sequence[str] = (),
    pgbouncer: Sequence[str] = (),
) -> Sheet:
    """The budget by what files say, with no server.

    `grafana`: directories that are Grafana's root (/, or a checkout that has etc/grafana); `pgbouncer`: its ini files.
    Raises UsageError when nothing is declared at all, ConfigError when a file that was named cannot be read.
    """
    claims: list[Claim] = []
    gaps: list[Gap] = []
    for root in grafana:
        found, lacking = _grafana(root)
        claims += found
        gaps += lacking
    for path in pgbouncer:
        claims.append(_pooler(path))
    if not claims and not config.budgets:
        where = f"{config.path} has no [budget.NAME]" if config.path else "no pgusher.toml was found"
        raise UsageError(
            "nothing says what the holders may take",
            detail=where,
            hint="write [budget.web] with total = 40 into pgusher.toml, or name files: --grafana DIR, --pgbouncer FILE",
        )
    ceilings = Ceilings(
        max_connections, superuser_reserved, reserved, certainty=Certainty.LIKELY, source="--max-connections"
    )
    made = files(config.budgets, claims, ceilings, config.path or "files")
    return replace(made, gaps=tuple(gaps))


def proposals(look: Look, sheets: Sequence[Sheet], proc: str = "/proc") -> tuple[Proposal, ...]:
    """What would fit, for each server whose ceilings are known."""
    from pgusher.budget.proposal import propose
    from pgusher.collect.memory import private_kb

    made = []
    for snapshot, one in zip(look.snapshots, sheets, strict=True):
        local = snapshot.facts.server.local
        pids = [session.pid for session in snapshot.slot_sessions] if local and not _saved(snapshot) else []
        made.append(propose(one, private_kb(pids, proc)))
    return tuple(one for one in made if one is not None)


def sizes(look: Look) -> tuple[tuple[Size, ...], tuple[str, ...]]:
    """The pools of our own with what they used, and the holders of which nothing is measured."""
    from pgusher.budget.sizing import silent
    from pgusher.budget.sizing import sizes as of_one

    found = tuple(size for snapshot in look.snapshots for size in of_one(snapshot))
    return found, tuple(name for snapshot in look.snapshots for name in silent(snapshot))


def _saved(snapshot: Snapshot) -> bool:
    """Whether it is of another moment or host: pids of then mean nothing now."""
    import os

    return snapshot.facts.host.pid != os.getpid()


def _grafana(root: str) -> tuple[list[Claim], tuple[Gap, ...]]:
    import os

    if not os.path.isdir(root):
        raise ConfigError(f"{root}: no directory", hint="--grafana DIR is the root below which etc/grafana lies")
    from pgusher.collect.grafana.host import of_files as read

    one = read(root)
    # A file that was named by a person and cannot be read is no gap: the sum without it could fit by mistake.
    broken = next((gap for gap in one.gaps if gap.what.startswith("/")), None)
    if broken is not None:
        raise ConfigError(f"{root.rstrip('/')}{broken.what}: {broken.why}", hint=broken.opens or None)
    claim = of_one(one, root)
    if claim is None:
        why = Gap("grafana", f"the data sources below {root}", "no PostgreSQL data source was found", "", 1)
        return [], (*one.gaps, why)
    # Where the files are for who runs this, and not for Grafana: a CI shows a message beside the file's line.
    at = os.path.normpath(root)
    settings = tuple(
        replace(it, place=os.path.normpath(f"{at}/{it.place}")) if it.place.startswith("/") else it
        for it in claim.settings
    )
    return [replace(claim, settings=settings)], one.gaps


def _pooler(path: str) -> Claim:
    from pgusher.budget.poolers import of_file
    from pgusher.collect.pgbouncer import Wrong, read

    wrong: list[Wrong] = []
    try:
        pooler = read("/", path, wrong=wrong)
    except OSError as error:
        raise ConfigError(f"{path}: could not be read: {(error.strerror or str(error)).lower()}") from None
    if wrong:  # PgBouncer would not start with it, and the sum without it could fit by mistake
        raise ConfigError(f"{wrong[0].place}: {wrong[0].why}")
    claim = of_file(pooler)
    if claim is None:
        raise ConfigError(f"{path}: no [databases]: it is no configuration of PgBouncer")
    return claim


def _past() -> tuple[Mapping[str, Past], tuple[Gap, ...]]:
    """What the history of this user's guarded jobs tells."""
    from pgusher.guard.history import open_history

    try:
        entries = open_history().entries(None, _RUNS * 10)
    except OSError as error:
        return {}, (Gap("history", "the history of jobs", (error.strerror or str(error)).lower(), ""),)
    runs: dict[str, list[int]] = {}
    longest: dict[str, int] = {}
    for entry in entries:
        peaks = runs.setdefault(entry.job, [])
        if entry.peak_slots is not None:
            peaks.append(entry.peak_slots)
        if entry.good and entry.duration is not None:
            longest[entry.job] = max(longest.get(entry.job, 0), entry.duration)
    return {job: Past(max(peaks), longest.get(job), len(peaks)) for job, peaks in runs.items() if peaks}, ()


_KEPT_DAYS = 7


def _memory(snapshot: Snapshot, place: str | None) -> tuple[Mapping[str, Amount], Gap | None]:
    """The most that each holder had in the last days, by what `pgusher record` keeps; and why that is not known."""
    from pgusher.record.place import exists, is_dsn

    if not (place and is_dsn(place)) and not exists(place):
        return {}, None
    from pgusher.model.past import ALL, HOUR
    from pgusher.record.database import StoreError
    from pgusher.record.reading import Reader
    from pgusher.record.store import open_store

    label, until = snapshot.facts.server.label, snapshot.facts.taken_at
    since = until - _KEPT_DAYS * 24 * HOUR
    try:
        reader = Reader(open_store(place))
        try:
            bounds = reader.bounds(label) if label in reader.servers() else None
            if bounds is None or bounds[1] < since:
                return {}, None
            days = span(until - max(since, bounds[0]))
            peaks = reader.peaks(label, since, until)
        finally:
            reader.close()
    except StoreError as error:
        return {}, Gap("history", "the most that holders had", str(error), "")
    source = f"in the last {days}, by the memory"
    return {one.holder: Amount(one.most, source) for one in peaks if one.holder != ALL}, None


def _running(snapshot: Snapshot, proc: str = "/proc") -> Mapping[int, int]:
    """How many workers run below each process of a web server now, also those that hold nothing."""
    from pgusher.budget.workers import SERVERS

    if not snapshot.facts.server.local:
        return {}
    mine = {pid for one in snapshot.holders if (one.program or "").lower() in SERVERS for pid in one.processes}
    parents = {one.pid: one.ppid for one in snapshot.facts.processes}
    return {
        parent: number
        for parent in {parents[pid] for pid in mine if parents.get(pid, 0) > 1}
        if parent in parents and (number := below(parent, proc))
    }


def below(pid: int, proc: str) -> int:
    """The processes that were started by its main thread, but for what Python's multiprocessing keeps beside them."""
    try:
        with open(f"{proc}/{pid}/task/{pid}/children", "rb") as file:
            pids = file.read(1 << 16).split()
    except OSError:
        return 0
    number = 0
    for child in pids:
        try:
            with open(f"{proc}/{int(child)}/cmdline", "rb") as file:
                number += b"resource_tracker" not in file.read(4096)
        except (OSError, ValueError):
            continue
    return number
