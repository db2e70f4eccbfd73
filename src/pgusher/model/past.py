"""The past as the recorder kept it: who held slots when, with what nobody looked at left open. Pure values."""

from __future__ import annotations

from collections import Counter

from pgusher.model.address import Micros
from pgusher.model.evidence import Certainty
from pgusher.model.server import Limit
from pgusher.model.values import dataclass

MINUTE: Micros = 60_000_000
HOUR: Micros = 60 * MINUTE

ALL = ""
"""The name under which the figures of all holders together stand."""


@dataclass(frozen=True, slots=True)
class Span:
    """A time in which a server was looked at without a break, from one rung of the ladder."""

    since: Micros
    until: Micros
    """The moment up to which the last look counts."""
    rung: str
    """As `Rung` has it: "held connection", "process titles" ..."""
    samples: int = 0
    opened: int | None = None
    """Sessions that the server says to have opened meanwhile, also those too short to be seen; None: not told."""


@dataclass(frozen=True, slots=True)
class Life:
    """One session's life, as far as it was seen. Texts are hostile until rendered."""

    pid: int
    backend_start: Micros | None
    holder: str
    since: Micros
    """When it was first seen; it may be older (`backend_start`)."""
    until: Micros | None
    """When it was first seen to be gone; None when it was there at the last look."""
    user: str | None = None
    database: str | None = None
    application_name: str | None = None
    client: str | None = None
    """Address of its client; None where it is not known; "unix socket"."""
    port: int | None = None
    process: int | None = None
    """Pid of the client process that held it."""
    state: str | None = None
    """At the moment that was asked for; "in use" for one whose states changed too fast to be kept apart. None: not
    known."""
    state_since: Micros | None = None
    """Since when, to the second."""
    chain: int = 0
    """The number of its chain in the store."""


@dataclass(frozen=True, slots=True)
class Ceiling:
    """The server's limits from a moment on."""

    since: Micros
    max_connections: int
    superuser_reserved: int
    reserved: int
    certainty: Certainty = Certainty.PROVEN
    limits: tuple[tuple[str, str, int], ...] = ()
    """CONNECTION LIMITs that were set: "role" or "database", its name, how many."""

    @property
    def ordinary(self) -> int:
        """Slots that a role without privileges can take."""
        return max(0, self.max_connections - self.superuser_reserved - self.reserved)


@dataclass(frozen=True, slots=True)
class Refused:
    """Refusals for lack of slots that came one after the other in the same words."""

    since: Micros
    until: Micros
    count: int
    source: str
    """How it is known: "own probe", or the log's file."""
    sqlstate: str | None
    by: str | None
    """Who refused: "postgres", a pooler's name; None when it is not told."""
    ceiling: str | None
    """Which limit it was about, as `Ceiling` of the model's server has it."""
    words: str


@dataclass(frozen=True, slots=True)
class Moment:
    """Who held what at one moment."""

    at: Micros
    server: str
    seen: Span | None
    """The span that the moment lies in; None: nobody looked, so that others than `lives` may have been there."""
    before: Span | None = None
    """Where nobody looked: the last span before, and the first one after."""
    after: Span | None = None
    lives: tuple[Life, ...] = ()
    """The sessions that were there for sure; where nobody looked, those that were there before and afterwards."""
    ceiling: Ceiling | None = None

    @property
    def taken(self) -> int:
        """How many slots were taken at least; the very number when `seen` is there."""
        return len(self.lives)

    @property
    def limits(self) -> tuple[tuple[str, Limit], ...]:
        """The limits of roles ("role") and databases ("database"), and what was taken of each; the fullest first.

        Nothing where nobody looked: what was taken is not known then.
        """
        if self.seen is None or self.ceiling is None:
            return ()
        used = Counter(("role", life.user) for life in self.lives)
        used.update(("database", life.database) for life in self.lives)
        found = [(kind, Limit(name, limit, used[kind, name])) for kind, name, limit in self.ceiling.limits]
        return tuple(sorted(found, key=lambda one: -one[1].used / max(1, one[1].limit)))


@dataclass(frozen=True, slots=True)
class Peak:
    """The most that a holder held, over a time."""

    holder: str
    """`ALL` for all together."""
    most: int
    at: Micros
    """When it was first so many; to the minute, or to the hour for times of which no more is kept."""
    least: int
    mean: float
    """Over the time that was looked at."""
    now: int
    """At the end of the time."""
    opened: int
    """Sessions that came and went meanwhile, as far as they were seen."""
    ended: int
    title: str = ""


@dataclass(frozen=True, slots=True)
class Series:
    """How many slots a holder held, minute by minute."""

    holder: str
    since: Micros
    least: tuple[int | None, ...]
    """None for a minute in which nobody looked: unknown, not zero."""
    most: tuple[int | None, ...]
    mean: tuple[float | None, ...]
    step: Micros = MINUTE

    def at(self, index: int) -> Micros:
        """When that minute began."""
        return self.since + index * self.step


@dataclass(frozen=True, slots=True)
class Past:
    """What rules get of the past: the series of all together first, then each holder's, the largest first."""

    since: Micros
    until: Micros
    series: tuple[Series, ...] = ()
    offset: int = 0
    """Seconds that the clock of this host is ahead of UTC: days are people's."""
    days: tuple[Series, ...] = ()
    """The same of more days, by whole hours that are over: all together, and holders that rose or fell much."""

    @property
    def total(self) -> Series | None:
        """All together."""
        return next((one for one in self.series if one.holder == ALL), None)
