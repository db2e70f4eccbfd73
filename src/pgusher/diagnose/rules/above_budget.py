"""a holder holds more slots than its budget, or did in the last day."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from pgusher.diagnose.case import Held
from pgusher.diagnose.remedies import look
from pgusher.diagnose.text import MINUTE, listed, span
from pgusher.model.budget import Declared
from pgusher.model.evidence import Certainty
from pgusher.model.findings import Evidence, Finding, Remedy, Safety, Severity
from pgusher.model.own_pools import OwnPool
from pgusher.model.past import Past, Series

WORST = Severity.WARNING


def check(
    holders: tuple[Held, ...],
    budgets: tuple[Declared, ...],
    own_pools: tuple[OwnPool, ...],
    history: Past | None = None,
) -> Iterator[Finding]:
    """A warning where it does so now, a note where it did."""
    for one in (*budgets, *_kept(own_pools, budgets)):
        mine = _meant(one, holders, own_pools)
        held = sum(len(each.sessions) for each in mine)
        if held > one.total:
            yield _now(one, mine, held)
        elif history is not None:
            names = {each.name for each in mine} | ({one.holder} if one.holder else {one.name})
            series = [each for each in history.series if each.holder in names or each.holder.partition("/")[2] in names]
            yield from _then(one, series)


def _kept(pools: Iterable[OwnPool], budgets: Sequence[Declared]) -> list[Declared]:
    """Budgets that programs keep by themselves, and nobody declared."""
    told = {one.name for one in budgets}
    totals = {pool.budget: pool.total for pool in pools if pool.budget and pool.budget not in told}
    return [Declared(name, total, place=f"budget {name} in its programs") for name, total in totals.items()]


def _meant(one: Declared, holders: Iterable[Held], pools: Iterable[OwnPool]) -> list[Held]:
    """Its holders: the one that is named, else all that log in by its role, else those of its name."""
    if one.holder is not None:
        return [each for each in holders if each.name == one.holder]
    if one.role is not None:
        return [each for each in holders if {session.user for session in each.sessions} == {one.role}]
    of_it = {pool.process for pool in pools if pool.budget == one.name}
    return [
        each
        for each in holders
        if one.name in (each.name, each.name.partition("/")[2]) or of_it.intersection(each.holder.processes)
    ]


def _now(one: Declared, mine: Sequence[Held], held: int) -> Finding:
    names = listed([f"{each.name} with {len(each.sessions)}" for each in mine])
    return _finding(
        one,
        Severity.WARNING,
        f"budget {one.name}: {held} of {one.total} slots are held, {held - one.total} too many",
        f"Its holders are {names}." if len(mine) > 1 else f"It is {mine[0].name}.",
        Evidence(f"{names} now, and {one.place} says {one.total}"),
        mine[0].name,
    )


def _then(one: Declared, series: Sequence[Series]) -> Iterator[Finding]:
    """Of several holders the fewest of each minute: their most need not have been at the same moment."""
    if not series:
        return
    parts = [each.most if len(series) == 1 else each.least for each in series]
    sums = [sum(number or 0 for number in numbers) for numbers in zip(*parts, strict=False)]
    over = [at for at, number in enumerate(sums) if number > one.total]
    if not over:
        return
    most = max(sums)
    names = listed(each.holder for each in series)
    length = span(len(over) * MINUTE)
    yield _finding(
        one,
        Severity.NOTE,
        f"budget {one.name}: {most} of {one.total} slots were held, for {length} of the last day",
        f"The last time was {span((len(sums) - over[-1] - 1) * MINUTE)} ago, by {names}.",
        Evidence(f"{most} slots by what was recorded, and {one.place} says {one.total}"),
        series[0].holder,
    )


def _finding(one: Declared, severity: Severity, message: str, detail: str, evidence: Evidence, holder: str) -> Finding:
    share = (
        " Its budget is one over several hosts, of which only what is named here was counted." if one.hosts > 1 else ""
    )
    return Finding(
        "above-budget",
        severity,
        Certainty.PROVEN,
        f"budget/{one.name}",
        message,
        detail=(f"{detail}{share}",),
        evidence=(evidence,),
        remedies=(
            look(holder),
            Remedy("see what each may take, and set limits that hold", Safety.SAFE, "pgusher budget plan"),
            Remedy("what opens sessions beside its pool must go through it, or have a share of its own", Safety.SAFE),
        ),
        holder=holder,
    )
