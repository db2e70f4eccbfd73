"""A snapshot: everything at one moment, frozen; facts, and what attribution made of them."""

from __future__ import annotations

from pgusher.model.facts import Facts
from pgusher.model.holder import Chain, Holder
from pgusher.model.session import Session
from pgusher.model.values import dataclass


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
        return sum([s.takes_slot for s in self.facts.sessions])

    def holder(self, name: str) -> Holder | None:
        """The holder of that name."""
        return next((h for h in self.holders if h.name == name), None)
