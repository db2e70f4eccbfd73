"""The sheet: a claim for each holder, the limits over several of them, and the sum against the ceilings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pgusher.budget import found
from pgusher.budget.found import Found, Past
from pgusher.budget.grafana import of_absent, of_grafana, shared_out
from pgusher.budget.poolers import of_pooler
from pgusher.diagnose.runs import find_runs
from pgusher.model.budget import Amount, Cap, Claim, Declared, Sheet
from pgusher.model.evidence import Certainty
from pgusher.model.facts import Facts
from pgusher.model.grafana import Grafana
from pgusher.model.holder import Holder, HolderKind
from pgusher.model.own_pools import OwnPool
from pgusher.model.process import Process
from pgusher.model.server import Ceilings
from pgusher.model.session import Session
from pgusher.model.snapshot import Snapshot
from pgusher.model.values import replace

_NOTHING: Mapping[str, Past] = {}
_NO_PEAKS: Mapping[str, Amount] = {}
_NOBODY: Mapping[int, int] = {}
_BUSY = frozenset({"idle", "authenticating"})


def sheet(
    snapshot: Snapshot,
    declared: Sequence[Declared] = (),
    history: Mapping[str, Past] = _NOTHING,
    memory: Mapping[str, Amount] = _NO_PEAKS,
    running: Mapping[int, int] = _NOBODY,
) -> Sheet:
    """The budget of one server.

    `history`: what guarded jobs took, by their name; `memory`: the most of each holder; `running`: how many workers run
    below a process, by its pid.
    """
    facts = snapshot.facts
    sessions = {one.pid: one for one in snapshot.slot_sessions}
    grafanas, absent = shared_out(snapshot)
    claims = [
        _remembered(_claim(snapshot, holder, sessions, history, grafanas.get(holder.name, ()), running), memory)
        for holder in snapshot.holders
        if _counts(holder, sessions)
    ]
    claims += [made for one in absent if (made := of_absent(one, facts)) is not None]
    claims, left = _with_declared(claims, declared)
    claims += [_absent(one) for one in left]
    kept, caps = _capped(claims, facts.ceilings, _totals(facts))
    return Sheet(
        facts.server.label,
        kept,
        facts.ceilings,
        snapshot.taken,
        sum(one.own for one in snapshot.slot_sessions),
        caps,
        facts.gaps,
    )


def files(declared: Sequence[Declared], claims: Sequence[Claim], ceilings: Ceilings | None, place: str) -> Sheet:
    """The same without a server, by what files say."""
    every = [*claims, *(_absent(one) for one in declared)]
    kept, caps = _capped(every, ceilings, {})
    return Sheet(place, kept, ceilings, 0, caps=caps)


def _counts(holder: Holder, sessions: Mapping[int, Session]) -> bool:
    return any(pid in sessions for pid in holder.sessions)


def _remembered(claim: Claim, memory: Mapping[str, Amount]) -> Claim:
    """With the most that it had, where that is more than what its ledgers or its history have kept."""
    kept, told = claim.peak, memory.get(claim.holder)
    if told is None or claim.kind is HolderKind.OWN or (kept is not None and (kept.value or 0) >= (told.value or 0)):
        return claim
    return replace(claim, peak=told)


def _claim(
    snapshot: Snapshot,
    holder: Holder,
    sessions: Mapping[int, Session],
    history: Mapping[str, Past],
    grafanas: Sequence[Grafana],
    running: Mapping[int, int],
) -> Claim:
    facts = snapshot.facts
    mine = [sessions[pid] for pid in holder.sessions if pid in sessions]
    past = found.pasts(history, holder)
    family = _family(holder, facts.processes)
    way = (
        found.of_kind(holder)
        or of_grafana(grafanas, facts)
        or of_pooler(holder, facts, mine)
        or found.of_runs(holder, find_runs(snapshot), facts.own_pools, facts.taken_at, past)
        or found.of_pools(holder, facts.own_pools, family, running)
        or found.of_workers(holder, family, running)
        or Found(Amount(None, _why_unknown(holder, facts.own_pools)))
    )
    peak, busiest = found.peaks(holder, facts.own_pools, past)
    return Claim(
        holder.name,
        holder.kind,
        len(mine),
        sum(one.state is not None and one.state not in _BUSY for one in mine),
        way.may,
        peak,
        busiest,
        way.processes or len(holder.processes),
        way.each,
        tuple(sorted({*way.roles, *(one.user for one in mine if one.user)})),
        tuple(sorted({*way.databases, *(one.database for one in mine if one.database)})),
        any(one.superuser for one in mine),
        way.budget,
        None,
        way.settings,
        way.notes,
    )


def _why_unknown(holder: Holder, pools: Sequence[OwnPool]) -> str:
    told = {pool.process for pool in pools if pool.process in holder.processes}
    if told:
        return f"{len(holder.processes) - len(told)} of {len(holder.processes)} processes have no ledger"
    if holder.kind in (HolderKind.REMOTE, HolderKind.HIDDEN, HolderKind.UNKNOWN):
        return "its processes are not seen from here"
    return f"nothing tells: {holder.limit}" if holder.limit else "nothing tells how large its pools may get"


def _family(holder: Holder, processes: Sequence[Process]) -> list[Process]:
    """Its processes and all that stand above them, below the first that started the host."""
    by_pid = {process.pid: process for process in processes}
    seen: dict[int, Process] = {}
    for pid in holder.processes:
        at = by_pid.get(pid)
        while at is not None and at.pid not in seen and at.pid > 1:
            seen[at.pid] = at
            at = by_pid.get(at.ppid)
    return list(seen.values())


def _with_declared(claims: Sequence[Claim], declared: Sequence[Declared]) -> tuple[list[Claim], list[Declared]]:
    """Each declaration goes to the holder it means; those that mean nobody here are left."""
    result, left = list(claims), []
    for one in declared:
        at = next((at for at, claim in enumerate(result) if claim.declared is None and _means(one, claim)), None)
        if at is None:
            left.append(one)
        else:
            result[at] = _declared(result[at], one)
    return result, left


def _means(declared: Declared, claim: Claim) -> bool:
    if declared.holder is not None:
        return claim.holder == declared.holder
    if declared.role is not None:
        return claim.roles == (declared.role,)
    return declared.name in (claim.budget, claim.holder, claim.holder.partition("/")[2])


def _declared(claim: Claim, one: Declared) -> Claim:
    amount = _of(one)
    kept = claim.budget == one.name and claim.may.value is not None
    if kept and one.hosts > 1:
        amount = Amount(one.total, f"{amount.source}; its ledgers say {claim.may.value} for this host")
    if not claim.may.known or kept:
        return replace(claim, may=amount, declared=one, budget=claim.budget or one.name)
    notes = claim.notes
    if (claim.may.value or 0) > one.total:
        notes = (*notes, f"{one.place} declares {one.total}, and it may take {claim.may.value}.")
    return replace(claim, declared=one, notes=notes)


def _of(one: Declared) -> Amount:
    share = f" over {one.hosts} hosts" if one.hosts > 1 else ""
    return Amount(one.total, f"declared: {one.place}: total = {one.total}{share}", Certainty.LIKELY)


def _absent(one: Declared) -> Claim:
    """A declaration whose holder has no session here now."""
    name = one.holder or f"budget/{one.name}"
    roles = (one.role,) if one.role else ()
    return Claim(name, HolderKind.UNKNOWN, 0, 0, _of(one), roles=roles, budget=one.name, declared=one)


# -- limits over several


def _totals(facts: Facts) -> dict[str, int]:
    """The total of each budget by its ledgers. Each user has budgets of its own, so those of one name are added up."""
    users = {process.pid: process.uid for process in facts.processes}
    found: dict[tuple[str, int], int] = {}
    for pool in facts.own_pools:
        key = pool.budget, users.get(pool.process, -1)
        if pool.budget:
            found[key] = min(pool.total, found.get(key, pool.total))
    return {name: sum(total for (of, _), total in found.items() if of == name) for name, _ in found}


def _capped(
    claims: Sequence[Claim], ceilings: Ceilings | None, totals: Mapping[str, int]
) -> tuple[tuple[Claim, ...], tuple[Cap, ...]]:
    """The claims, those that a limit is about alone with that limit, and the limits that are about several."""
    caps, alone = [], {}
    for cap in _caps(claims, ceilings, totals):
        if len(cap.holders) == 1:
            alone[cap.holders[0]] = cap
        else:
            caps.append(cap)
    kept = [replace(one, may=_under(one, alone[one.holder])) if one.holder in alone else one for one in claims]
    kept.sort(key=lambda claim: (not claim.may.endless, -claim.counted, claim.holder))
    return tuple(kept), tuple(caps)


def _under(claim: Claim, cap: Cap) -> Amount:
    without = "no limit" if claim.may.endless else "unknown" if claim.may.value is None else str(claim.may.value)
    source = f"CONNECTION LIMIT {cap.limit} of {cap.name}; without it {without}: {claim.may.source}"
    return Amount(cap.limit, source, cap.certainty)


def _caps(claims: Sequence[Claim], ceilings: Ceilings | None, totals: Mapping[str, int]) -> tuple[Cap, ...]:
    """What limits of roles and databases, and shared budgets, keep from the sum.

    Of two that are about the same holder only the one that saves more counts: the sum stays an upper bound.
    """
    found_caps: list[Cap] = []
    claims = [claim for claim in claims if claim.kind is not HolderKind.OWN]
    if ceilings is not None:
        for limit in ceilings.roles:
            group = [claim for claim in claims if claim.roles == (limit.name,) and not claim.superuser]
            found_caps += _cap(f"role {limit.name}", limit.limit, group)
        for limit in ceilings.databases:
            group = [claim for claim in claims if claim.databases == (limit.name,) and not claim.superuser]
            found_caps += _cap(f"database {limit.name}", limit.limit, group)
    for name in sorted({claim.budget for claim in claims if claim.budget}):
        group = [claim for claim in claims if claim.budget == name]
        if len(group) > 1:
            # Its total, and not what the largest pool may take; the declared one where that is over several hosts.
            said = [
                claim.declared.total for claim in group if claim.declared is not None and claim.declared.name == name
            ]
            found_caps += _cap(f"budget {name}", max([totals.get(name, 0), *said]), group)
    found_caps.sort(key=lambda cap: (-cap.saves, cap.name))
    taken: set[str] = set()
    chosen = []
    for cap in found_caps:
        if not taken & set(cap.holders):
            chosen.append(cap)
            taken.update(cap.holders)
    return tuple(chosen)


def _cap(name: str, limit: int, group: Sequence[Claim]) -> list[Cap]:
    # A limit that was set below what they have ends no session.
    saves = sum(claim.counted for claim in group) - max(limit, sum(claim.holds for claim in group))
    unlimited = any(not claim.may.known for claim in group)
    if not group or (saves <= 0 and not unlimited):
        return []
    return [Cap(name, limit, tuple(claim.holder for claim in group), saves)]
