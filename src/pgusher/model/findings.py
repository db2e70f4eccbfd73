"""Findings: what a rule concludes from a snapshot, how it is known, what it costs and what ends it."""

from __future__ import annotations

from enum import StrEnum

from pgusher.model.address import Micros
from pgusher.model.evidence import Certainty, Gap
from pgusher.model.values import dataclass


class Severity(StrEnum):
    """How bad a finding is. The order is by `rank`."""

    CRITICAL = "critical"
    """Clients are refused, or this is what takes the slots that they are refused for."""
    WARNING = "warning"
    """Slots are lost or work stands still, while there is room left."""
    NOTE = "note"
    """Nothing is lost yet: a weakness, or something that could not be looked at."""

    @property
    def rank(self) -> int:
        """0 for the worst."""
        return _RANK[self]


_RANK = {Severity.CRITICAL: 0, Severity.WARNING: 1, Severity.NOTE: 2}


class Safety(StrEnum):
    """What following a remedy may lose."""

    SAFE = "safe"
    """Loses nothing: it reads, or changes what only new sessions feel, or ends what nobody waits for."""
    UNSAFE = "unsafe"
    """Loses work or turns somebody away; `Remedy.loses` says what."""


@dataclass(frozen=True, slots=True)
class Remedy:
    """One thing to do about a finding."""

    text: str
    """The advice: "call task_done() in a finally block"."""
    safety: Safety
    command: str = ""
    """The exact command or setting, to be pasted; "" when it is an edit of somebody's code."""
    loses: str = ""
    """What an unsafe one loses: "the run's own work since 03:10"."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """One fact that a finding rests on, and how sure it is."""

    fact: str
    certainty: Certainty = Certainty.PROVEN


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong, as a rule found it. Texts may hold what a stranger wrote: clean them when rendering."""

    rule: str
    """The name of the rule: "stuck-job"."""
    severity: Severity
    certainty: Certainty
    """How sure the conclusion is, not the facts: each of those has its own in `evidence`."""
    key: str
    """What it is about, the same at each look: "cron/version_history". With `rule` it names the finding."""
    message: str
    """One fact with its figure on one line, lower case, no full stop, under 80 columns."""
    detail: tuple[str, ...] = ()
    """Further facts, a sentence each. No advice."""
    evidence: tuple[Evidence, ...] = ()
    """How it is known, strongest first."""
    remedies: tuple[Remedy, ...] = ()
    """What to do, mildest first."""
    holder: str | None = None
    """The name of the holder it is about."""
    sessions: tuple[int, ...] = ()
    """Pids of the server processes it is about, oldest first."""
    processes: tuple[int, ...] = ()
    """Pids of the client processes it is about; the first is the one whose stack tells most."""
    slots: int = 0
    """How many slots it costs: would be free without it."""
    since: Micros | None = None
    """Since when at the latest."""
    file: str | None = None
    """The source file of the line that matters, with the line and the thread, where they are known."""
    line: int | None = None
    thread: str | None = None
    symptom: bool = False
    """It tells the state of the server, not what brought it about: "97 of 97 slots taken"."""

    @property
    def id(self) -> str:
        """Its name in an ignore list: "stuck-job:cron/version_history"."""
        return f"{self.rule}:{self.key}"

    @property
    def order(self) -> tuple[int, bool, bool, int, int, int, str, str]:
        """By this findings are sorted, worst first.

        Of equally bad ones what brought it about comes before what shows it, and what takes slots before what does not.
        """
        since = self.since if self.since is not None else 1 << 62
        lossless = self.slots == 0
        return (
            self.severity.rank,
            self.symptom,
            lossless,
            self.certainty.rank,
            -self.slots,
            since,
            self.rule,
            self.key,
        )


@dataclass(frozen=True, slots=True)
class Skipped:
    """A rule that could not be asked, and why. What it would have found is not known."""

    rule: str
    need: str
    """The need that was missing: "stacks", "settings"."""
    gap: Gap
    """Why it was missing, and what would open it."""


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """What the rules made of one snapshot."""

    findings: tuple[Finding, ...] = ()
    """Worst first."""
    skipped: tuple[Skipped, ...] = ()
    """Rules that could not be asked, by their name."""
    ignored: tuple[str, ...] = ()
    """The `id` of each finding that the configuration says to ignore."""
    asked: tuple[str, ...] = ()
    """The names of the rules that were asked, in their order."""

    @property
    def cause(self) -> Finding | None:
        """The worst finding that is more than a symptom."""
        return next((finding for finding in self.findings if not finding.symptom), None)

    @property
    def worst(self) -> Severity | None:
        """The severity of the worst finding; None when nothing was found."""
        return self.findings[0].severity if self.findings else None
