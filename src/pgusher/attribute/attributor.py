"""Facts in, snapshot out: a chain for each session, and the holders."""

from __future__ import annotations

from collections.abc import Mapping
from operator import is_

from pgusher.attribute.chains import Drafter
from pgusher.attribute.drafts import Draft
from pgusher.attribute.holders import gather
from pgusher.attribute.loans import with_loans
from pgusher.attribute.names import assign
from pgusher.attribute.origins import Origins
from pgusher.attribute.rooting import shadows
from pgusher.attribute.roots import Root
from pgusher.model.facts import Facts
from pgusher.model.holder import Holder, HolderKind
from pgusher.model.session import Session
from pgusher.model.snapshot import Snapshot


class Attributor:
    """Attributes look after look, and keeps what cannot have changed in between.

    Its snapshots are those that `attribute` makes of the same facts; it only comes to them sooner.
    """

    def __init__(self, labels: Mapping[str, str] | None = None) -> None:
        """`labels`: what a person calls a holder, by its name or by a remote address; put before its title."""
        self._labels = dict(labels or {})
        self._facts: Facts | None = None
        self._origins: Origins | None = None
        self._by_pid: dict[int, Draft] = {}
        self._drafts: tuple[Draft, ...] = ()
        self._names: dict[tuple[str, ...], str] = {}
        self._holders: tuple[Holder, ...] = ()

    def attribute(self, facts: Facts) -> Snapshot:
        """The snapshot of these facts. Raises nothing, whatever the facts."""
        before, origins = self._facts, self._origins
        changed: Origins | None = None
        if before is None or origins is None or not _same_world(before, facts):
            origins = changed = self._origins = Origins(facts, origins)
        drafter = Drafter(facts, origins)
        if before is not None and (before.host != facts.host or before.server.local != facts.server.local):
            self._by_pid = {}
        drafts = tuple([self._draft(drafter, changed, session) for session in facts.sessions])
        if len(drafts) != len(self._drafts) or not all(map(is_, drafts, self._drafts)):
            self._names = _names(drafts, origins)
            self._holders = gather(drafts, self._names, self._labels)
            self._drafts = drafts
            self._by_pid = {draft.session.pid: draft for draft in drafts}
        self._facts = facts
        names = self._names
        chains = tuple([draft.chain(names[draft.root.key]) for draft in drafts])
        return Snapshot(facts, with_loans(facts, chains) if facts.loans else chains, self._holders)

    def _draft(self, drafter: Drafter, changed: Origins | None, session: Session) -> Draft:
        old = self._by_pid.get(session.pid)
        if changed is None and old is not None and drafter.is_as_before(old, session):
            return old  # most of them, each second
        joined = drafter.join(session)
        if old is not None and old.stands(session, joined, changed):
            old.renew(session, joined)
            return old
        draft = drafter.draft(session, joined)
        return old if old is not None and old.equals(draft) else draft


def attribute(facts: Facts, *, labels: Mapping[str, str] | None = None) -> Snapshot:
    """A chain for each session in `facts.sessions`, in the same order, and the holders, most slots first.

    A pure function: the same facts give the same snapshot, in whatever order they list sockets, processes and crontab
    lines. Raises nothing, whatever the facts: what contradicts itself ends as unknown, and the chain says why. `labels`
    is as for `Attributor`.
    """
    return Attributor(labels).attribute(facts)


def _names(drafts: tuple[Draft, ...], origins: Origins) -> dict[tuple[str, ...], str]:
    roots: dict[tuple[str, ...], Root] = {}
    for draft in drafts:
        roots.setdefault(draft.root.key, draft.root)
    live = {key for key, root in roots.items() if root.kind is HolderKind.CRON}
    # A job that holds nothing now keeps its claim to a name, so that names do not change when its next run starts.
    others = shadows(origins.crontab, live) if live else []
    return assign([*roots.values(), *others])


def _same_world(one: Facts, other: Facts) -> bool:
    """Whether all that origins are concluded from is the same."""
    return (
        one.processes == other.processes
        and one.host.pid == other.host.pid
        and one.cron == other.cron
        and one.units == other.units
        and one.containers == other.containers
    )
