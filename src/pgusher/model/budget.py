"""A budget of a server: what each holder has, had at most, and may take, against the slots that there are.

What a holder may take is seldom known by the server; each figure therefore says where it comes from and how sure it
is. One that is not known is None, and never a guess.
"""

from __future__ import annotations

from pgusher.model.evidence import Certainty, Gap
from pgusher.model.holder import HolderKind
from pgusher.model.server import Ceilings
from pgusher.model.values import dataclass


@dataclass(frozen=True, slots=True)
class Amount:
    """A number of slots, and who says so."""

    value: int | None
    """None when it is not known, or when there is no limit."""
    source: str
    """With its arithmetic: "2 processes x 10 (max_size, by their ledgers)"."""
    certainty: Certainty = Certainty.PROVEN
    endless: bool = False
    """True when nothing limits it."""

    @property
    def known(self) -> bool:
        """Whether it is a number."""
        return self.value is not None


@dataclass(frozen=True, slots=True)
class Declared:
    """What the configuration says that a holder may take: [budget.NAME]."""

    name: str
    total: int
    """Over all hosts."""
    hosts: int = 1
    minimum: int = 0
    """Guaranteed to each process."""
    holder: str | None = None
    """The holder that is meant, where its name is another one."""
    role: str | None = None
    """The role by which it logs in, where that is its own."""
    place: str = ""
    """The file and the key."""


@dataclass(frozen=True, slots=True)
class Setting:
    """What limits a holder, where a person can change it."""

    name: str
    """ "maxOpenConns", "max_size", "--workers"."""
    value: str
    """As it is now; "" when that is not known."""
    place: str
    """File and line, or where else it is: "/etc/grafana/provisioning/datasources/pg.yaml:14"."""
    times: int = 1
    """How often it counts: once for each process and replica that has it."""
    source: str = ""
    """Of a data source of Grafana's: its organisation and uid: "1/abc"."""


@dataclass(frozen=True, slots=True)
class Claim:
    """One holder in the budget."""

    holder: str
    kind: HolderKind
    holds: int
    """Slots now."""
    used: int
    """Of those, how many do something now: they run a statement or are in a transaction."""
    may: Amount
    peak: Amount | None = None
    """The most it had at once; None when nothing has kept that."""
    busiest: Amount | None = None
    """The most it really used at once, as a pool lends; None when nothing has kept that."""
    processes: int = 0
    """Its processes that can have a pool."""
    each: int | None = None
    """What one of them may take."""
    roles: tuple[str, ...] = ()
    """Those its sessions belong to."""
    databases: tuple[str, ...] = ()
    superuser: bool = False
    """One of its roles is a superuser: no limit of a role holds for it."""
    budget: str = ""
    """The name of the budget that it keeps to, by its ledgers or by the configuration."""
    declared: Declared | None = None
    settings: tuple[Setting, ...] = ()
    """What would have to be changed, so that it takes less."""
    notes: tuple[str, ...] = ()
    """Further facts, a sentence each."""

    @property
    def least(self) -> int:
        """What it is known to take, whatever it may."""
        return max(self.holds, (self.peak.value or 0) if self.peak is not None else 0)

    @property
    def counted(self) -> int:
        """What it counts in the sum: what it may take; where that is not a number, what it is known to take.

        pgusher's own session counts nothing: it is given back after the look.
        """
        if self.kind is HolderKind.OWN:
            return 0
        return self.least if self.may.value is None else max(self.may.value, self.holds)


@dataclass(frozen=True, slots=True)
class Cap:
    """A limit over several holders together, and what it keeps from the sum."""

    name: str
    """ "role web", "database shop", "budget web"."""
    limit: int
    holders: tuple[str, ...]
    saves: int
    """Negative where it stands for what is not known otherwise."""
    certainty: Certainty = Certainty.LIKELY


@dataclass(frozen=True, slots=True)
class Sheet:
    """The whole budget of one server."""

    server: str
    """Its label, or the configuration's path where no server was looked at."""
    claims: tuple[Claim, ...]
    """What may take most comes first."""
    ceilings: Ceilings | None
    taken: int
    own: int = 0
    """pgusher's own, among `taken`."""
    caps: tuple[Cap, ...] = ()
    gaps: tuple[Gap, ...] = ()

    @property
    def total(self) -> int:
        """What all may take together: at least so many, where something is not known or not limited."""
        return sum(claim.counted for claim in self.claims) - sum(cap.saves for cap in self.caps)

    @property
    def unknown(self) -> tuple[Claim, ...]:
        """Those of which it is not known what they may take, by name or by number."""
        capped = {name for cap in self.caps for name in cap.holders}
        return tuple(c for c in self.claims if not c.may.known and not c.may.endless and c.holder not in capped)

    @property
    def endless(self) -> tuple[Claim, ...]:
        """Those that nothing limits."""
        capped = {name for cap in self.caps for name in cap.holders}
        return tuple(claim for claim in self.claims if claim.may.endless and claim.holder not in capped)

    @property
    def over(self) -> int | None:
        """By how many the sum exceeds what ordinary roles can have; negative: so many are left. None: not known."""
        return None if self.ceilings is None else self.total - self.ceilings.ordinary

    @property
    def fits(self) -> bool | None:
        """Whether all may take at once what they may; None when that is not known."""
        if self.over is not None and (self.over > 0 or self.endless):
            return False
        return None if self.over is None or self.unknown else True
