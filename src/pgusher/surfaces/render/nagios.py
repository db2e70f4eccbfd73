"""One line for Nagios, Icinga and their kin, with performance data, and the exit code that they understand.

Source: Monitoring Plugins Development Guidelines, "Plugin Output for Nagios" and "Performance data".
"""

from __future__ import annotations

from collections.abc import Sequence

from pgusher.model.findings import Finding, Severity
from pgusher.model.text import clean
from pgusher.surfaces.render import words
from pgusher.surfaces.render.diagnosed import Diagnosed
from pgusher.surfaces.render.headline import verdict_text
from pgusher.surfaces.render.tally import blind, tally

OK, WARNING, CRITICAL, UNKNOWN = 0, 1, 2, 3
_WORDS = ("OK", "WARNING", "CRITICAL", "UNKNOWN")
_TOLD = 3
"""Findings whose message is in the line; the others are counted."""


def nagios(servers: Sequence[Diagnosed], fail_on: Severity | None) -> tuple[str, int]:
    """The line and the exit code: 0 OK, 1 WARNING, 2 CRITICAL, 3 UNKNOWN. Those milder than `fail_on` do not count."""
    counted = [
        (one, finding)
        for one in servers
        for finding in one.diagnosis.findings
        if fail_on is not None and finding.severity.rank <= fail_on.rank
    ]
    worst = min((finding.severity for _, finding in counted), key=lambda s: s.rank, default=None)
    code = OK if worst is None else CRITICAL if worst is Severity.CRITICAL else WARNING
    if code != CRITICAL and any(blind(one.snapshot) for one in servers):
        code = UNKNOWN  # a role that is not let in any more must not keep the monitor green
    several = len(servers) > 1
    said = [_about(one, several) for one in servers]
    shown = sorted(counted, key=lambda pair: pair[1].order)
    said += [_told(one, finding, several) for one, finding in shown[:_TOLD]]
    if more := len(shown) - _TOLD:
        said += [words.count(more, "more finding")] if more > 0 else []
    return f"{_line(_WORDS[code], said)} | {' '.join(part for one in servers for part in _data(one, several))}", code


def unknown(message: str) -> tuple[str, int]:
    """The line and the exit code where nothing could be found out."""
    return _line(_WORDS[UNKNOWN], [message]), UNKNOWN


def _line(word: str, said: Sequence[str]) -> str:
    # A bar would begin the performance data.
    return f"PGUSHER {word} - {clean('; '.join(said)).replace('|', '/')}"


def _about(one: Diagnosed, several: bool) -> str:
    text = verdict_text(tally(one.snapshot))
    return f"port {one.snapshot.facts.server.port}: {text}" if several else text


def _told(one: Diagnosed, finding: Finding, several: bool) -> str:
    return f"port {one.snapshot.facts.server.port}: {finding.message}" if several else finding.message


def _data(one: Diagnosed, several: bool) -> list[str]:
    """Performance data: label=value;warn;crit;min;max."""
    sums, ceilings = tally(one.snapshot), one.snapshot.facts.ceilings
    suffix = f"_{one.snapshot.facts.server.port}" if several else ""
    ordinary = str(sums.ordinary.limit) if sums.ordinary is not None else ""
    most = str(ceilings.max_connections) if ceilings is not None else ""
    by = {severity: sum(f.severity is severity for f in one.diagnosis.findings) for severity in Severity}
    lost = len({pid for f in one.diagnosis.findings if f.slots and not f.symptom for pid in f.sessions})
    return [
        f"slots{suffix}={sums.taken};;{ordinary};0;{most}",
        *(f"{severity.value}{suffix}={by[severity]};;;0" for severity in Severity),
        f"slots_in_findings{suffix}={lost};;;0;{most}",
    ]
