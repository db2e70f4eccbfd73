"""How much room the server has left; and by that, how bad it is to take some of it."""

from __future__ import annotations

from pgusher.model.findings import Severity
from pgusher.model.server import Ceilings
from pgusher.model.values import dataclass

NEAR = 0.9
"""From this share of the ordinary slots on the server is running out."""
MATTERS = 0.05
"""Who takes less than this share of the ordinary slots did not fill the server."""


@dataclass(frozen=True, slots=True)
class Room:
    """The slots of a server."""

    ceilings: Ceilings
    taken: int
    """Slots that are taken, pgusher's own included."""
    refused: bool = False
    """The server refuses somebody for lack of slots, whatever the counts say."""

    @property
    def ordinary(self) -> int:
        """Slots that an ordinary role can take; at least 1, so that shares can be had."""
        return max(1, self.ceilings.ordinary)

    @property
    def full(self) -> bool:
        """No ordinary role gets a slot."""
        return self.refused or self.taken >= self.ceilings.ordinary

    @property
    def near(self) -> bool:
        """It is full, or running out."""
        return self.full or self.taken >= NEAR * self.ordinary

    def share(self, slots: int) -> float:
        """Which share of the ordinary slots that is; may be over 1."""
        return slots / self.ordinary

    def part(self, slots: int) -> str:
        """ "30 of 37 ordinary slots"; with reserved ones among them "39 of 40 slots"."""
        if slots > self.ceilings.ordinary:
            return f"{slots} of {self.ceilings.max_connections} slots"
        return f"{slots} of {self.ceilings.ordinary} ordinary slots"

    def severity(self, slots: int) -> Severity:
        """How bad it is to hold that many slots for nothing."""
        return Severity.CRITICAL if self.full and self.share(slots) >= MATTERS else Severity.WARNING
