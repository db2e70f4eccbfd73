"""The verdict: what looking again showed, told apart from what acting claims. Pure: values in, values out.

"signalled" is not "closed", and "closed" is not "free": a session counts as gone when a fresh look does not show it, as
returned when its holder has a new one like it, and a slot as free when an ordinary role has taken it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from pgusher.diagnose.text import count, listed
from pgusher.model.address import Micros
from pgusher.model.holder import Holder, HolderKind
from pgusher.model.plan import Lever, Outcome, OutcomeKind, Plan, SessionIdentity, Step, Verdict
from pgusher.model.session import Session
from pgusher.model.snapshot import Snapshot
from pgusher.model.values import dataclass
from pgusher.remedy.verify.sources import details, of_pools, pools

ENDING = frozenset({Lever.TERMINATE, Lever.END_BACKEND, Lever.END_PROCESS, Lever.DRAIN})
"""Levers that make sessions end."""


@dataclass(frozen=True, slots=True)
class Proof:
    """What is known of whether an ordinary role gets a slot now."""

    role: str | None = None
    """The ordinary role that took one, and gave it back."""
    took_ms: float = 0.0
    refused: str = ""
    """The server's words, when it refused one for lack of slots."""
    why_not: str = ""
    """Why nobody could try: "role app was not let in without its password"."""


def meant(plan: Plan, outcomes: Iterable[Outcome]) -> tuple[Step, ...]:
    """The steps that were done, or found to be done already, and that make sessions end."""
    done = {one.step for one in outcomes if one.kind in (OutcomeKind.DONE, OutcomeKind.GONE)}
    return tuple(step for step in plan.steps if step.number in done and step.lever in ENDING)


def still_there(steps: Sequence[Step], snapshot: Snapshot) -> tuple[Session, ...]:
    """The sessions of these steps that a look still shows."""
    sessions = {session.pid: session for session in snapshot.facts.sessions}
    found = (
        sessions[identity.pid]
        for step in steps
        for identity in step.sessions
        if identity.pid in sessions and _same(identity, sessions[identity.pid])
    )
    return tuple({session.pid: session for session in found}.values())


def _same(identity: SessionIdentity, session: Session) -> bool:
    """Whether it is that session and not another with its pid; where neither look tells, it is taken to be."""
    if identity.backend_start is not None and session.backend_start is not None:
        return identity.backend_start == session.backend_start
    if identity.start_ticks is not None and session.start_ticks is not None:
        return identity.start_ticks == session.start_ticks
    return True


def came_back(plan: Plan, steps: Sequence[Step], before: Snapshot, after: Snapshot) -> dict[str, int]:
    """By holder, how many new sessions it has of the same pattern as those that were ended: role and database.

    A session whose start one of the two looks did not see is new only when nothing had its pid before.
    """
    old: dict[int, set[Micros | None]] = {}
    for session in before.facts.sessions:
        old.setdefault(session.pid, set()).add(session.backend_start)
    for identity in (one for step in plan.steps for one in step.sessions):
        old.setdefault(identity.pid, set()).add(identity.backend_start)
    names = _names_after(steps, before, after)
    ended: Counter[tuple[str, str | None, str | None]] = Counter()
    for step in steps:
        for one in step.sessions:
            ended[step.holder or "", one.user, one.database] += 1
    chains = {chain.pid: names.get(chain.holder, "") for chain in after.chains}
    found: Counter[str] = Counter()
    for session in after.facts.sessions:
        if session.own or not session.takes_slot or not _is_new(session, old.get(session.pid)):
            continue
        key = (chains.get(session.pid, ""), session.user, session.database)
        if ended[key] > 0:
            ended[key] -= 1
            found[key[0]] += 1
    return dict(found)


def _names_after(steps: Sequence[Step], before: Snapshot, after: Snapshot) -> dict[str, str]:
    """What the plan called each holder of the last look.

    A holder gets its user behind a plus sign while another one has its name, and loses it again: so a name alone does
    not say that it is the same one. What stays does, where the look before acting showed whose the sessions were.
    """
    holders = {holder.name: _what_stays(holder) for holder in before.holders}
    chains = {chain.pid: holders.get(chain.holder) for chain in before.chains}
    called: dict[tuple[HolderKind, str], str] = {}
    unseen: set[str] = set()
    for step in steps:
        if step.holder is None:
            continue
        known = {key for one in step.sessions if (key := chains.get(one.pid)) is not None}
        called.update(dict.fromkeys(known, step.holder))
        if not known:
            unseen.add(step.holder)
    names = {holder.name: called.get(_what_stays(holder)) for holder in after.holders}
    return {name: meant or name for name, meant in names.items() if meant is not None or name in unseen}


def _what_stays(holder: Holder) -> tuple[HolderKind, str]:
    """What is the same of a holder at each look: its title, but where that tells what its sessions say or run."""
    changing = holder.kind in (HolderKind.REMOTE, HolderKind.TERMINAL)
    return holder.kind, holder.name if changing else holder.title


def _is_new(session: Session, starts: set[Micros | None] | None) -> bool:
    """Whether it is shown to be none of those that had its pid."""
    if starts is None:
        return True
    return session.backend_start is not None and None not in starts and session.backend_start not in starts


def sees_less(before: Snapshot, after: Snapshot) -> bool:
    """Whether the second look hides of other roles' sessions what the first one showed: whose they are, since when.

    Then a session that came back may not be known as one, so that it cannot be said that none did.
    """
    first, last = before.facts.view, after.facts.view
    if last.sees_all or last.role is None:  # process titles hide nothing of whose session it is
        return False
    return bool(first.sees_all) or first.role != last.role


def judge(
    plan: Plan,
    outcomes: Sequence[Outcome],
    before: Snapshot,
    after: Snapshot | None,
    proof: Proof,
    seconds: float,
) -> Verdict:
    """The verdict. `after`: the last look, None when there was none; `seconds` from acting to that look."""
    if after is None:
        return Verdict(False, "not verified: the server could not be looked at again", hint="pgusher")
    steps = meant(plan, outcomes)
    wanted = {one.pid for step in steps for one in step.sessions}
    left = still_there(steps, after)
    back = came_back(plan, steps, before, after)
    returned = sum(back.values())
    gone = len(wanted) - len(left)
    free = free_slots(after)
    detail = []
    for holder, number in back.items():
        all_of = sum(len(step.sessions) for step in steps if step.holder == holder)
        detail.append(f"{number} of {all_of} came back within {seconds:.0f} s: the pool of {holder} refills.")
    if steps and sees_less(before, after) and returned < len(wanted):
        role = after.facts.view.role
        more = "more" if returned else "any"
        detail.append(f"Whether {more} came back is not known: role {role} sees less than the look before acting did.")
    if left:
        detail.append(f"Still there: {listed([f'session {session.pid}' for session in left], 8)}.")
    if free is not None:
        detail.append(f"{_free(free)}.")
    tried = attempted(plan, outcomes)
    if tried and steps:
        detail.append(f"Of the steps that failed {_of_tried(tried, after)}.")
    replaced = pools(plan, outcomes, before, after)
    detail = [*details(replaced), *detail]
    if replaced and not steps and not tried:
        return of_pools(replaced, detail)
    if not steps:
        return _without_end(outcomes, tried, after, detail)
    said, taken = _proof(proof, free)
    verified = not left and taken
    head = (
        f"{gone} of {count(len(wanted), 'session')} {'is' if gone == 1 else 'are'} gone" if wanted else "nothing ended"
    )
    if returned:
        head += f", {returned} came back"
    hint = ""
    if back:
        hint = f"lower the limit of {next(iter(back))}: pgusher who {next(iter(back))}"
    elif not taken:
        hint = "pgusher why"
    return Verdict(verified, head, gone, len(left), returned, tuple(detail), said, hint)


def _without_end(outcomes: Sequence[Outcome], tried: Sequence[Step], after: Snapshot, detail: Sequence[str]) -> Verdict:
    """The verdict where no session was to end."""
    done = any(one.kind in (OutcomeKind.DONE, OutcomeKind.GONE) for one in outcomes)
    if tried:  # what was signalled may end any time: nobody can say that nothing was done
        return Verdict(False, _of_tried(tried, after), detail=tuple(detail), hint="look again: pgusher")
    return Verdict(done, "no session was to end" if done else "nothing was done", detail=tuple(detail))


def attempted(plan: Plan, outcomes: Iterable[Outcome]) -> tuple[Step, ...]:
    """The steps that were tried and did not come to their end, and that make sessions end."""
    failed = {one.step for one in outcomes if one.kind is OutcomeKind.FAILED}
    return tuple(step for step in plan.steps if step.number in failed and step.lever in ENDING)


def _of_tried(tried: Sequence[Step], after: Snapshot) -> str:
    """What a look shows of sessions that were to end, and did not while they were waited for."""
    wanted = {one.pid for step in tried for one in step.sessions}
    left = len(still_there(tried, after))
    verb = "was" if len(wanted) == 1 else "were"
    return f"{left} of {count(len(wanted), 'session')} that {verb} to end {'is' if left == 1 else 'are'} still there"


def free_slots(snapshot: Snapshot) -> tuple[int, int] | None:
    """How many slots an ordinary role could take, of how many; pgusher's own counts as free, as it is given back."""
    ceilings = snapshot.facts.ceilings
    if ceilings is None:
        return None
    own = sum(session.own and session.takes_slot for session in snapshot.facts.sessions)
    return max(0, ceilings.ordinary - (snapshot.taken - own)), ceilings.ordinary


def _proof(proof: Proof, free: tuple[int, int] | None) -> tuple[str, bool]:
    """In words how it is known that an ordinary role gets a slot, and whether it does."""
    if proof.role is not None:
        return f"role {proof.role} took an ordinary slot in {proof.took_ms:.0f} ms, and gave it back", True
    if proof.refused:
        return f'an ordinary role is still refused: "{proof.refused}"', False
    if free is None:
        return f"no ordinary role took a slot: {proof.why_not}", False
    reason = f"; no ordinary role took one: {proof.why_not}" if proof.why_not else ""
    return f"by the server's own count {_free(free)}{reason}", free[0] > 0


def _free(free: tuple[int, int]) -> str:
    return f"{free[0]} of {count(free[1], 'ordinary slot')} {'is' if free[0] == 1 else 'are'} free"
