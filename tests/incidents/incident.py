"""An incident, what is to be said of it, and the judgement of what was said."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from pgusher.model.evidence import Certainty
from pgusher.model.findings import Diagnosis, Finding, Severity

INNOCENT = "innocent"
_NOTE = Severity.NOTE


@dataclass(frozen=True)
class Incident:
    """One of the matrix."""

    name: str
    about: str
    """The rule or mechanism it is an incident of, "mixture", or "innocent"."""
    causes: tuple[str, ...]
    """The rules that name the true cause: one of them must come first. None for a healthy server."""
    run: Callable[[], Diagnosis] = field(repr=False, compare=False)
    real: bool = False
    also: tuple[str, ...] = ()
    """Other rules whose findings are true of it as well."""
    places: tuple[tuple[str, int], ...] = ()
    """Files and lines of which the first finding must name one."""
    missing: str = ""
    """Why it cannot be staged here; "" when it can."""


@dataclass(frozen=True)
class Verdict:
    """What was said of an incident."""

    incident: Incident
    top: Finding | None
    """The worst finding that is more than a symptom; where there are only symptoms, the worst of those."""
    diagnosis: Diagnosis

    @property
    def right(self) -> bool:
        """Whether the first cause is a true one; of a healthy server, whether at most a true note was made."""
        if not self.incident.causes:
            found, also = self.diagnosis.findings, self.incident.also
            return all(finding.rule in also and finding.severity is _NOTE for finding in found)
        if self.top is None or self.top.rule not in self.incident.causes:
            return False
        places = self.incident.places
        return not places or ((self.top.file or "").rpartition("/")[2], self.top.line) in places

    @property
    def wrongly_proven(self) -> tuple[str, ...]:
        """Rules that name something else as a cause, and call it proven."""
        true = {*self.incident.causes, *self.incident.also}
        return tuple(
            finding.rule
            for finding in self.diagnosis.findings
            if finding.rule not in true
            and not finding.symptom
            and finding.certainty is Certainty.PROVEN
            and finding.severity is not Severity.NOTE
        )


def judge(incident: Incident) -> Verdict:
    """Stage it, and see what is said."""
    diagnosis = incident.run()
    symptom = diagnosis.findings[0] if diagnosis.findings else None
    return Verdict(incident, diagnosis.cause or symptom, diagnosis)
