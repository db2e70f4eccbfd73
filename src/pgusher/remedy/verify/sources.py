"""What a look at the server shows of a data source whose limit was changed: the new pool, and what drains of the old.

Grafana builds a new pool with the next query or health check of each process, and closes the old one five seconds
later; a session that is at work ends with its query (instance_manager.go of grafana-plugin-sdk-go; database/sql and
pgxpool). Pure.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from pgusher.diagnose.text import count
from pgusher.model.plan import Lever, Outcome, OutcomeKind, Plan, SourceChange, Verdict
from pgusher.model.snapshot import Snapshot
from pgusher.model.values import dataclass
from pgusher.remedy.plan.sources import sessions_of


@dataclass(frozen=True, slots=True)
class Pools:
    """The sessions of one data source's role in its database, before and after."""

    change: SourceChange
    before: int
    now: int
    left: int
    """Of those before, how many are still there."""

    @property
    def most(self) -> int | None:
        """What all processes of Grafana may take now; None when that is not said here."""
        return None if self.change.after is None else self.change.after * self.change.replicas

    @property
    def foreign(self) -> bool:
        """Whether the sessions may be another's."""
        return self.change.alike > 0 or bool(self.change.elsewhere)

    @property
    def settled(self) -> bool:
        """Whether the old pool is gone, or small enough that it may be the same, or cannot be told from another's."""
        return self.left == 0 or self.foreign or (self.most is not None and self.now <= self.most)

    @property
    def text(self) -> str:
        """One fact with its figures."""
        said = (
            f"role {self.change.user} has {count(self.now, 'session')} in {self.change.database}, {self.before} before"
        )
        if self.change.elsewhere and self.before:
            return f"{said}; the data source leads to {self.change.elsewhere}: whose they are is not told"
        if self.change.alike and self.before:
            others = count(self.change.alike, "other data source")
            return f"{said}; {others} with the same role and database: whose they are is not told"
        if not self.before:
            return said
        return f"{said}; {self.before - self.left} of {self.before} of the old pool are gone"


def pools(plan: Plan, outcomes: Iterable[Outcome], before: Snapshot, after: Snapshot) -> tuple[Pools, ...]:
    """The pools of the steps that were done."""
    done = {one.step for one in outcomes if one.kind is OutcomeKind.DONE}
    found = []
    for step in plan.steps:
        change = step.source
        if step.lever is not Lever.SOURCE or step.number not in done or change is None:
            continue
        old = sessions_of(change.user, change.database, before.facts.sessions)
        new = sessions_of(change.user, change.database, after.facts.sessions)
        known = {(one.pid, one.backend_start, one.start_ticks) for one in old}
        left = sum((one.pid, one.backend_start, one.start_ticks) in known for one in new)
        found.append(Pools(change, len(old), len(new), left))
    return tuple(found)


def details(found: Iterable[Pools]) -> list[str]:
    """What to say of those that are not the one of the verdict's text, and what still drains, a sentence each."""
    told = []
    for one in found:
        if not one.settled:
            told.append(f"{one.left} of the old pool's sessions still drain: one at work ends with its query.")
        if one.change.replicas > 1:
            told.append(f"Each of {one.change.replicas} processes of Grafana changes its pool with its own next query.")
    return told


def of_pools(found: Sequence[Pools], detail: Iterable[str]) -> Verdict:
    """The verdict of a plan that changed nothing else."""
    first, *others = found
    settled = all(one.settled for one in found)
    return Verdict(
        settled,
        first.text,
        sum(one.before - one.left for one in found if not one.foreign),
        sum(one.left for one in found if not one.foreign),
        detail=(*(f"{one.text}." for one in others), *detail),
        hint="" if settled else "look again: pgusher who grafana",
    )
