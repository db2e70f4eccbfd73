"""A proposal that fits: a minimum and a maximum for each holder, by a rule that is stated, with its arithmetic.

1. Of the slots for ordinary roles some are kept for people: 3 %, at least 2. Who sits at a terminal is one of them.
2. A service of several processes is replaced one process at a time: the new one starts before the old one ends. The
   largest share of one such process is kept free.
3. Each holder has as its minimum what it really used at most, by its pools' ledgers or the history of jobs; where
   nothing has kept that, what is at work now, and at least 1; of a cron job one run. A larger declared one counts.
4. Each holder wants what it may take; where that is not known what it had at most; a cron job one run.
5. When all that fits, below the limits over several of them, nothing is changed. Else each gets its minimum, and of the
   rest in proportion to what it wants beyond that, rounded down to a multiple of its processes.
"""

from __future__ import annotations

from pgusher.diagnose.text import listed
from pgusher.model.budget import Claim, Sheet
from pgusher.model.holder import HolderKind
from pgusher.model.proposal import Proposal, Raise, Share
from pgusher.model.values import replace

_PEOPLE = frozenset({HolderKind.TERMINAL})
_NOT_ASKED = frozenset({HolderKind.OWN, HolderKind.GONE, HolderKind.TERMINAL})
_IDLE_BACKEND_KB = 1050
"""What an idle backend has for itself alone, measured on PostgreSQL 15: docs/benchmarks.md tells how."""


def propose(sheet: Sheet, backend_kb: int | None = None) -> Proposal | None:
    """What would fit; None when the ceilings are not known. `backend_kb`: measured private memory of a backend."""
    if sheet.ceilings is None:
        return None
    ordinary = sheet.ceilings.ordinary
    people = max(2, -(-ordinary * 3 // 100))
    claims = [claim for claim in sheet.claims if claim.kind not in _NOT_ASKED]
    wants = {claim.holder: (_minimum(claim), max(_minimum(claim), _wanted(claim))) for claim in claims}
    saved = sum(max(0, sum(wants[name][1] for name in cap.holders if name in wants) - cap.limit) for cap in sheet.caps)
    deploy, shares = 0, [_share(claim, *wants[claim.holder], wants[claim.holder][1]) for claim in claims]
    for _ in range(20):  # the share of one process is a part of what is divided
        shares = _divided(claims, wants, ordinary - people - deploy, saved)
        needed = max((_one_process(share) for share in shares), default=0)
        if needed <= deploy:
            break
        deploy = needed
    least = sum(share.minimum for share in shares)
    proposal = Proposal(
        sheet.server, ordinary, people, deploy, tuple(shares), least <= ordinary - people - deploy,
        listed([s.holder for s in shares if deploy and _one_process(s) == deploy], 2),
        kept=0 if any(share.maximum < share.wanted for share in shares) else saved,
    )  # fmt: skip
    return replace(proposal, gives=_gives(sheet, proposal), raising=_raise(sheet, proposal, backend_kb))


def _minimum(claim: Claim) -> int:
    used = claim.busiest.value if claim.busiest is not None else None
    declared = claim.declared.minimum if claim.declared is not None else 0
    run = claim.each or 0 if claim.kind is HolderKind.CRON else 0  # with less it could not even start
    return max(1, claim.used if used is None else used, declared, run)


def _wanted(claim: Claim) -> int:
    if claim.kind is HolderKind.CRON and claim.may.endless and claim.each:
        return claim.each
    return claim.counted


def _why(claim: Claim) -> str:
    if claim.busiest is not None:
        return f"used {claim.busiest.value} at most: {claim.busiest.source}"
    return f"{claim.used} of {claim.holds} at work now; nothing has kept the most it used"


def _share(claim: Claim, minimum: int, wanted: int, maximum: int) -> Share:
    return Share(
        claim.holder, minimum, maximum, wanted, claim.may.known, max(1, claim.processes), _why(claim), claim.roles,
        claim.superuser, claim.settings,
    )  # fmt: skip


def _one_process(share: Share) -> int:
    """What a new process of it takes before an old one ends; nothing for who has one alone: that one is restarted."""
    return -(-share.maximum // share.processes) if share.processes > 1 and share.known else 0


def _divided(claims: list[Claim], wants: dict[str, tuple[int, int]], give: int, saved: int) -> list[Share]:
    least, most = sum(low for low, _ in wants.values()), sum(high for _, high in wants.values())
    shares = []
    for claim in claims:
        low, high = wants[claim.holder]
        maximum = high
        if most - saved > give:
            rest = max(0, give - least)
            maximum = low + rest * (high - low) // max(1, most - least)
            times = max(1, claim.processes)
            if maximum < high and maximum - maximum % times >= low:
                maximum -= maximum % times
        shares.append(_share(claim, low, high, maximum))
    return shares


def _gives(sheet: Sheet, proposal: Proposal) -> tuple[str, ...]:
    """What must give, where the minimums alone are too many; and what should be ended before anything is raised."""
    said = [
        f"{claim.holder}: {claim.holds} slots whose client is gone: pgusher free {claim.holder}"
        for claim in sheet.claims
        if claim.kind is HolderKind.GONE
    ]
    said += [
        f"{claim.holder}: as one run at a time it takes {claim.each} instead of {claim.holds}: pgusher run"
        for claim in sheet.endless
        if claim.kind is HolderKind.CRON and claim.each and claim.each < claim.holds
    ]
    if not proposal.fits:
        short = proposal.least - proposal.give
        largest = sorted(proposal.shares, key=lambda one: (-one.minimum, one.holder))[:3]
        said.append(
            f"the minimums are {proposal.least}, {short} more than the {proposal.give} there are: the largest are "
            + listed([f"{one.holder} {one.minimum}" for one in largest])
        )
    return tuple(said)


def _raise(sheet: Sheet, proposal: Proposal, measured: int | None) -> Raise:
    reserved = sheet.ceilings.max_connections - proposal.ordinary if sheet.ceilings is not None else 0
    to = proposal.least + proposal.people + proposal.deploy + reserved
    if proposal.fits:
        to = sheet.ceilings.max_connections if sheet.ceilings is not None else 0
    more = max(0, to - (proposal.ordinary + reserved))
    each = measured or _IDLE_BACKEND_KB
    source = "measured on this server's backends now" if measured else "measured on idle backends of PostgreSQL 15"
    against = [f"{claim.holder} has no limit" for claim in sheet.endless]
    against += [f"what {claim.holder} may take is not known" for claim in sheet.unknown]
    against += [f"{claim.holder} holds slots for nobody" for claim in sheet.claims if claim.kind is HolderKind.GONE]
    if proposal.fits:
        against.insert(0, "what the holders really used fits")
    return Raise(to, more, each, source, tuple(against))
