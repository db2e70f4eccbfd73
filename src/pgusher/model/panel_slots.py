"""The sessions of a Grafana, each with the saved query that its statement may have come from."""

from __future__ import annotations

from pgusher.model.address import Micros
from pgusher.model.evidence import Certainty, Gap
from pgusher.model.panels import Fit, Match
from pgusher.model.values import dataclass


def certainty_of(match: Match | None) -> Certainty | None:
    """How sure an answer is; None where it names nothing."""
    if match is None or match.fit is Fit.NONE:
        return None
    return Certainty.LIKELY if match.fit is Fit.EXACT else Certainty.GUESSED


@dataclass(frozen=True, slots=True)
class Sent:
    """One session of a Grafana's, and what its statement says."""

    pid: int
    match: Match | None
    """None where no statement is shown."""
    running: bool = False
    took: Micros | None = None
    """Microseconds that its statement takes so far, or took."""

    @property
    def certainty(self) -> Certainty | None:
        """LIKELY at most: texts were compared, and anybody may send the same text. None where nothing is named."""
        return certainty_of(self.match)


@dataclass(frozen=True, slots=True)
class PanelSlots:
    """The slots of sessions with one answer."""

    match: Match | None
    pids: tuple[int, ...]
    running: int
    longest: Micros | None
    """Microseconds of the longest of their statements."""

    @property
    def certainty(self) -> Certainty | None:
        """As of each session: LIKELY at most."""
        return certainty_of(self.match)


@dataclass(frozen=True, slots=True)
class PanelLook:
    """What was told of one server."""

    sent: tuple[Sent, ...] = ()
    """One for each session of Grafana's."""
    queries: int = 0
    """Saved queries that were compared."""
    dashboards: int = 0
    limit: int = 1024
    """The server's track_activity_query_size, in bytes."""
    cut: int = 0
    """Sessions whose statement the server shows in part."""
    gaps: tuple[Gap, ...] = ()
    url: str = ""
    """Grafana's own address, below which the links of its panels are; "" where none was asked."""
