"""Facts in, snapshot out: a chain for each session, and the holders."""

from __future__ import annotations

from collections.abc import Mapping
from operator import is_

from pgusher.attribute.chains import Drafter
from pgusher.attribute.drafts import Draft, same_session
from pgusher.attribute.holders import gather
from pgusher.attribute.loans import with_loans
from pgusher.attribute.names import assign
from pgusher.attribute.origins import Origins
from pgusher.attribute.panel_links import panel_chains
from pgusher.attribute.rooting import shadows
from pgusher.attribute.roots import Root
from pgusher.model.facts import Facts
from pgusher.model.holder import Chain, Holder, HolderKind
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
        self._chains: tuple[Chain, ...] = ()

    def attribute(self, facts: Facts) -> Snapshot:
        """The snapshot of these facts. Raises nothing, whatever the facts."""
        before, origins = self._facts, self._origins
        changed: Origins | None = None
        if before is None or origins is None or not _same_world(before, facts):
            origins = changed = self._origins = Origins(facts, origins)
        elif self._stands(before, facts):
            self._facts = facts
            return self._snapshot(facts)
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
        self._chains = tuple([draft.chain(names[draft.root.key]) for draft in drafts])
        return self._snapshot(facts)

    def _snapshot(self, facts: Facts) -> Snapshot:
        chains = with_loans(facts, self._chains) if facts.loans else self._chains
        if facts.panels is not None:
            chains = panel_chains(facts.panels, chains)
        return Snapshot(facts, chains, self._holders)

    def _stands(self, before: Facts, facts: Facts) -> bool:
        """Whether all chains are as before: only what the sessions do has changed, as mostly in a watch."""
        if (
            facts.sockets is not before.sockets
            or len(facts.sessions) != len(self._drafts)
            or before.host != facts.host
            or before.server.local != facts.server.local
            or before.view.own_pid != facts.view.own_pid
            or before.gaps != facts.gaps
        ):
            return False
        for draft, session in zip(self._drafts, facts.sessions, strict=True):
            if draft.session is not session:
                if not same_session(draft.session, session):
                    return False
                draft.session = session
        return True

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
