"""What a holder may take, found by what is seen of it: each way gives an amount with its source, or None.

Pure: facts in, amounts out. Where nothing tells, None: a guess would be added up with facts.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from pgusher.budget.workers import stated
from pgusher.diagnose.runs import Run
from pgusher.diagnose.schedule import in_words, shortest_pause
from pgusher.diagnose.text import count, listed, span
from pgusher.model.address import Micros
from pgusher.model.budget import Amount, Setting
from pgusher.model.evidence import Certainty
from pgusher.model.holder import Holder, HolderKind
from pgusher.model.own_pools import OwnPool
from pgusher.model.process import Process
from pgusher.model.values import dataclass

_GUARDED = re.compile(r"(^|[\s/])pgusher(\s+-\S+)*\s+run\s")
_ONE_EACH = frozenset({HolderKind.TERMINAL, HolderKind.GONE, HolderKind.OWN})
"""Kinds that have what they have: a person's psql, a session whose client is gone, pgusher itself."""


@dataclass(frozen=True, slots=True)
class Found:
    """What one way found."""

    may: Amount
    each: int | None = None
    """For one process."""
    processes: int = 0
    settings: tuple[Setting, ...] = ()
    budget: str = ""
    notes: tuple[str, ...] = ()
    roles: tuple[str, ...] = ()
    """Those by which it logs in as far as its settings say, also where it has no session of them now."""
    databases: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Past:
    """What the history of guarded jobs tells of one of them."""

    peak: int | None
    """Slots, at most."""
    longest: Micros | None
    """Its longest run that ended by itself."""
    runs: int


def of_kind(holder: Holder) -> Found | None:
    """Those that are one session each, by what they are."""
    if holder.kind not in _ONE_EACH:
        return None
    own = len(holder.sessions)
    what = {
        HolderKind.TERMINAL: "a person's session: it has what it has",
        HolderKind.GONE: "its client is gone: it opens no more",
        HolderKind.OWN: "pgusher itself: given back after the look, and not in the sum",
    }[holder.kind]
    return Found(Amount(own, what))


def of_pools(
    holder: Holder, pools: Sequence[OwnPool], processes: Sequence[Process], running: Mapping[int, int] | None = None
) -> Found | None:
    """By the ledgers of pgusher's own pools: max_size of each, for each worker; a budget stands above them."""
    mine = [pool for pool in pools if pool.process in holder.processes]
    told = {pool.process for pool in mine}
    if not mine or not told.issuperset(holder.processes):
        return None
    by_process: dict[int, int] = {}
    for pool in mine:
        by_process[pool.process] = by_process.get(pool.process, 0) + pool.max_size
    workers = stated(processes, holder.program, running)
    each, number = max(by_process.values()), len(by_process)
    alone = sum(by_process.values())
    how = f"{count(number, 'process')} x {each} (max_size, by their ledgers)" if alone == each * number else (
        f"{alone} in {count(number, 'process')} (max_size, by their ledgers)"
    )  # fmt: skip
    if workers is not None and workers.number > number:
        number, alone = workers.number, each * workers.number
        how = f"{number} workers x {each} ({workers.how}, max_size by their ledgers)"
    settings = tuple(
        Setting("max_size", str(pool.max_size), f"the pool {pool.name} in its code or configuration", number)
        for pool in {one.name: one for one in mine}.values()
    )
    shared = {pool.budget: pool.total for pool in mine if pool.budget}
    if shared and all(pool.budget for pool in mine):
        total = sum(shared.values())
        if total < alone:
            names = listed(sorted(shared))
            how = f"budget {names}: {total} on this host, kept by its processes; without it {alone}"
            settings = tuple(Setting("total", str(most), f"budget {name}") for name, most in sorted(shared.items()))
            return Found(Amount(total, how), each, number, settings, names if len(shared) == 1 else "")
    # Of one that has pools beside its budget not all that it takes is kept by that.
    only = next(iter(shared), "") if len(shared) == 1 and all(pool.budget for pool in mine) else ""
    return Found(Amount(alone, how), each, number, settings, only)


def of_workers(holder: Holder, processes: Sequence[Process], running: Mapping[int, int] | None = None) -> Found | None:
    """A web server whose pools say nothing: its number of workers is known, the size of a pool is not."""
    workers = stated(processes, holder.program, running)
    if workers is None:
        return None
    how = f"{count(workers.number, 'worker')} ({workers.how}), and the size of their pools is not told"
    setting = Setting("--workers", str(workers.number), workers.place)
    return Found(Amount(None, how), None, workers.number, (setting,))


def of_runs(
    holder: Holder, runs: Sequence[Run], pools: Sequence[OwnPool], now: Micros, past: Past | None
) -> Found | None:
    """A cron job: the slots of one run times the runs that may be under way together."""
    mine = [run for run in runs if run.holder == holder.name]
    if not mine:
        return None
    most = max(len(run.sessions) for run in mine)
    how = f"{count(most, 'slot')} a run"
    by_pools = max((sum(p.max_size for p in pools if p.process in run.processes) for run in mine), default=0)
    if by_pools > most:
        most, how = by_pools, f"{by_pools} a run (max_size, by its ledger)"
    if past is not None and (past.peak or 0) > most:
        most = past.peak or 0
        how = f"{count(most, 'slot')} a run (the most of {past.runs} runs in the history)"
    entry = mine[0].entries[0] if len(mine[0].entries) == 1 else None
    pause = shortest_pause(entry) if entry is not None else None
    often = in_words(entry, pause) if entry is not None else ""
    where = f"{entry.file}:{entry.line}" if entry is not None else "its crontab"
    setting = Setting("runs at once", str(len(mine)), where, 1)
    if entry is not None and _GUARDED.search(entry.command):
        return Found(Amount(most, f"{how}, one run at a time (pgusher run, {where})"), most, 1, (setting,))
    if len(mine) > 1:
        more = f", one more {often}" if often else ""
        text = f"{how}, {len(mine)} runs of it now{more}: nothing keeps it to one ({where})"
        note = "As one run at a time it would take " + count(most, "slot") + ": pgusher run."
        return Found(Amount(None, text, Certainty.PROVEN, True), most, len(mine), (setting,), notes=(note,))
    age = now - mine[0].started
    if pause is not None and age < pause:
        text = f"{how}, one run as long as it ends within {span(pause)} ({where})"
        return Found(Amount(most, text, Certainty.LIKELY), most, 1, (setting,))
    return Found(Amount(None, f"{how}; how many runs there may be is not known ({where})"), most, 1, (setting,))


def peaks(holder: Holder, pools: Sequence[OwnPool], past: Past | None) -> tuple[Amount | None, Amount | None]:
    """The most sessions at once, and the most that were lent at once, where something has kept them."""
    mine = [pool for pool in pools if pool.process in holder.processes]
    if mine and {pool.process for pool in mine}.issuperset(holder.processes):
        number = len({pool.process for pool in mine})
        # Each process had its most at its own time: together they had that at most.
        sure = Certainty.PROVEN if number == 1 else Certainty.LIKELY
        source = "by its ledger" if number == 1 else f"the sum over {number} ledgers, each at its own time"
        return Amount(sum(p.most for p in mine), source, sure), Amount(sum(p.most_lent for p in mine), source, sure)
    if past is not None and past.peak is not None:
        amount = Amount(past.peak, f"one run, the most of {past.runs} in the history")
        return amount, amount
    return None, None


def pasts(history: Mapping[str, Past], holder: Holder) -> Past | None:
    """What is known of the runs of this holder, by the name of its job."""
    return history.get(holder.name.partition("/")[2]) if holder.kind is HolderKind.CRON else None
