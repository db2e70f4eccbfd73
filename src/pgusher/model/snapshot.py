"""A snapshot: everything at one moment, frozen; facts, and what attribution made of them."""

from __future__ import annotations

from operator import attrgetter

from pgusher.model.facts import Facts
from pgusher.model.holder import Chain, Holder
from pgusher.model.session import TAKE_SLOTS, UNSTARTED, Session
from pgusher.model.values import dataclass

_kind = attrgetter("backend_type")


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The facts of one server with a chain for each session, and the holders, most slots first."""

    facts: Facts
    chains: tuple[Chain, ...] = ()
    """One for each session in `facts.sessions`, in the same order."""
    holders: tuple[Holder, ...] = ()

    @property
    def slot_sessions(self) -> tuple[Session, ...]:
        """The sessions that take a slot."""
        return tuple(s for s in self.facts.sessions if s.takes_slot)

    @property
    def taken(self) -> int:
        """How many slots are taken, pgusher's own included."""
        return sum(map(TAKE_SLOTS.__contains__, map(_kind, self.facts.sessions)))

    @property
    def unstarted(self) -> int:
        """How many connections have not started a session."""
        return list(map(_kind, self.facts.sessions)).count(UNSTARTED)

    @property
    def crowded(self) -> bool:
        """Whether it is those that keep the server from accepting anybody: it has slots left, and may fork no more.

        It may have more than twice as many processes as slots (source: MaxLivePostmasterChildren() in postmaster.c,
        InitPostmasterChildSlots() in pmchild.c), so that they must outnumber the sessions.
        """
        ceilings = self.facts.ceilings
        free = ceilings is None or self.taken < ceilings.max_connections
        return self.facts.view.refuses_all and free and self.unstarted > self.taken

    def holder(self, name: str) -> Holder | None:
        """The holder of that name."""
        return next((h for h in self.holders if h.name == name), None)
