"""How sure a statement is, and what could not be read."""

from __future__ import annotations

from enum import StrEnum

from pgusher.model.values import dataclass


class Certainty(StrEnum):
    """How a link is known. The order is by strength: `weakest` of a chain is its certainty."""

    PROVEN = "proven"
    """The kernel or the server said so, about this very session or process."""
    LIKELY = "likely"
    """Two facts fit together and nothing contradicts them, but neither names the other."""
    GUESSED = "guessed"
    """One fact suggests it (a name, a pattern); a liar could have made it."""

    @property
    def rank(self) -> int:
        """0 for the strongest."""
        return _RANK[self]

    @staticmethod
    def weakest(*certainties: Certainty) -> Certainty:
        """A chain is as sure as its weakest link; PROVEN for no links at all."""
        return max(certainties, key=_RANK.__getitem__, default=Certainty.PROVEN)


_RANK = {Certainty.PROVEN: 0, Certainty.LIKELY: 1, Certainty.GUESSED: 2}


@dataclass(frozen=True, slots=True)
class Gap:
    """Something that could not be read. Shown first: half-blind is said before anything else."""

    source: str
    """Which source met it: postgres, sockets, processes, cron, systemd, containers, config."""
    what: str
    """What is missing, with its figure: "the open files of 14 processes"."""
    why: str
    """The reason as the system gave it: "permission denied"."""
    opens: str
    """What would open it, as a command or a setting: "run pgusher as root"; "" when nothing would."""
    count: int = 1
    """How many things are missing."""
