"""A look that goes down to the threads of the processes that matter, within the time that a person waits."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from itertools import zip_longest
from typing import Protocol

from pgusher.app.look import Look, Looker
from pgusher.app.request import Request
from pgusher.model.evidence import Gap
from pgusher.model.holder import Holder, HolderKind, LinkKind
from pgusher.model.snapshot import Snapshot
from pgusher.model.stacks import ProcessStacks
from pgusher.model.values import replace

WHOLE = 2.7
"""Seconds that a look may take together with its stacks."""
_LEAST = 1.2
"""Seconds for the stacks, however long the look took: less shows no standing still."""
MOST = 24
"""Processes whose threads are looked at when nobody said which."""
_ASKED = 60
"""The same when somebody did."""
_NAMED = 12
"""Holders that are named in one line."""
_FIRST = frozenset({HolderKind.CRON, HolderKind.SCRIPT})
"""What should end by itself: it hangs more often than what is restarted with each release."""
_NEVER = frozenset({HolderKind.OWN, HolderKind.REMOTE, HolderKind.GONE})

Choose = Callable[[Snapshot], "frozenset[int] | None"]


class Stacks(Protocol):
    """What takes stacks, as `pgusher.collect.stacks.StackSource`."""

    def take(self, pids: Iterable[int], deadline: float = ...) -> tuple[ProcessStacks, ...]:
        """The stacks of these processes and their children within `deadline` seconds."""


class DeepLooker:
    """Looks as `Looker` does, then at the threads of the processes that matter."""

    def __init__(
        self,
        request: Request,
        choose: Choose,
        *,
        looker: Looker | None = None,
        sample: float = 1.0,
        stacks: Stacks | None = None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """`choose` says of which processes of a snapshot; None leaves that to us.

        `sample`: seconds between the two looks at each thread. What stands still for twenty is not slow.
        """
        self._monotonic = monotonic
        self._sample = sample
        self._looker = looker or Looker(request)
        self._choose = choose
        self._stacks = stacks

    def look(self) -> Look:
        """One look. Raises UnreachableError as `Looker.look` does."""
        began = self._monotonic()
        look = self._looker.look()
        chosen = [self._pids(snapshot) for snapshot in look.snapshots]  # taken, and left out
        wanted = list(dict.fromkeys(pid for pids, _ in chosen for pid in pids))
        taken: tuple[ProcessStacks, ...] = ()
        if wanted:
            left = max(_LEAST, WHOLE - (self._monotonic() - began))
            taken = self._take(wanted, left if self._sample <= 1.0 else self._sample + left)
        snapshots = tuple(
            with_stacks(snapshot, taken, pids, left)
            for snapshot, (pids, left) in zip(look.snapshots, chosen, strict=True)
        )
        return replace(look, snapshots=snapshots, elapsed_ms=round((self._monotonic() - began) * 1000, 1))

    def close(self) -> None:
        """Give every slot back."""
        self._looker.close()

    def _take(self, pids: list[int], seconds: float) -> tuple[ProcessStacks, ...]:
        from pgusher.collect.stacks import StackSource  # late: only `why` needs it
        from pgusher.collect.stacks.lines import with_lines

        if self._stacks is None:
            self._stacks = StackSource(interval=self._sample)
        return with_lines(self._stacks.take(pids, seconds))

    def _pids(self, snapshot: Snapshot) -> tuple[list[int], list[int]]:
        """The processes to look at, and those that are left out."""
        asked = self._choose(snapshot)
        every = by_weight(snapshot)
        if asked is not None:
            every = [pid for pid in every if pid in asked]
        most = MOST if asked is None else _ASKED
        return every[:most], every[most:]


def by_weight(snapshot: Snapshot) -> list[int]:
    """The processes on this host that hold slots, the holders of most slots first; of two alike a job comes first.

    Of each holder one process in turn, its own with most slots first: so that the worst is always looked at, and a
    service of five hundred workers does not hide the script beside it.
    """
    if not snapshot.facts.server.local:
        return []
    here = {process.pid for process in snapshot.facts.processes}
    changed = {session.pid: session.state_change or session.backend_start for session in snapshot.facts.sessions}
    now = snapshot.facts.taken_at

    held = Counter(
        link.pid for chain in snapshot.chains for link in chain.links if link.kind is LinkKind.PROCESS and link.pid
    )

    def weight(holder: Holder) -> tuple[int, bool, int]:
        oldest = min((changed.get(pid) or now for pid in holder.sessions), default=now)
        return -len(holder.sessions), holder.kind not in _FIRST, oldest

    holders = sorted((h for h in snapshot.holders if h.kind not in _NEVER and h.sessions), key=weight)
    rounds = zip_longest(*(sorted(here.intersection(h.processes), key=lambda pid: (-held[pid], pid)) for h in holders))
    return list(dict.fromkeys(pid for turn in rounds for pid in turn if pid is not None))


def with_stacks(
    snapshot: Snapshot, taken: Iterable[ProcessStacks], pids: list[int], left: Sequence[int] = ()
) -> Snapshot:
    """The snapshot with the stacks of those processes and their families, and with what could not be seen of them."""
    taken = list(taken)
    parents = {stacks.ppid for stacks in taken if stacks.pid in pids}
    family = {*pids, *(stacks.pid for stacks in taken if not stacks.asked and stacks.pid in parents)}
    own = []
    for stacks in taken:  # a child comes after its parent
        if stacks.pid in family or (not stacks.asked and stacks.ppid in family):
            family.add(stacks.pid)
            own.append(stacks)
    gaps = [*_gaps(own), *_not_looked_at(snapshot, pids, left)]
    facts = replace(snapshot.facts, stacks=tuple(own), gaps=(*snapshot.facts.gaps, *gaps))
    return replace(snapshot, facts=facts)


def _gaps(taken: Iterable[ProcessStacks]) -> list[Gap]:
    """Those of the processes, each reason once."""
    reasons: Counter[tuple[str, str]] = Counter()
    first: dict[tuple[str, str], Gap] = {}
    for stacks in taken:
        if (gap := stacks.gap) is not None and stacks.asked:
            reasons[gap.why, gap.opens] += 1
            first.setdefault((gap.why, gap.opens), gap)
    return [
        first[key] if count == 1 else Gap("stacks", f"the frames of {count} processes", *key, count)
        for key, count in reasons.items()
    ]


def _not_looked_at(snapshot: Snapshot, pids: list[int], left: Sequence[int]) -> list[Gap]:
    if left:
        return [_left_out(snapshot, len(pids), left)]
    if pids or not any(not session.own for session in snapshot.slot_sessions):
        return []
    if not snapshot.facts.server.local:
        why, opens = "the server is on another host", "run pgusher on the clients' host"
    else:
        why, opens = "no process of a client could be seen here", "sudo pgusher why"
    return [Gap("stacks", "the threads of the clients", why, opens)]


def _left_out(snapshot: Snapshot, taken: int, left: Sequence[int]) -> Gap:
    """Who is not looked at, by name, and the command that looks into the first of them."""
    import shlex  # late: few servers have so many clients

    of = {pid: holder.name for holder in reversed(snapshot.holders) for pid in holder.processes}
    names = Counter(of[pid] for pid in left)  # in the order of what they hold
    told = [f"{name} ({number})" for name, number in list(names.items())[:_NAMED]]
    if more := len(names) - len(told):
        told.append(f"{more} holders more ({sum(list(names.values())[_NAMED:])})")
    what = f"stacks of {taken} of {taken + len(left)} processes were taken; left out: {', '.join(told)}"
    # One holder of more processes than are ever looked at: by its own name the same ones would be left out again.
    word = of[left[0]] if taken < _ASKED else str(left[0])
    return Gap("stacks", what, "", f"pgusher why {shlex.quote(word)}", len(left))
