"""The confusion table, in Markdown."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from tests.incidents.incident import INNOCENT, Incident, Verdict, judge


def judged(incidents: Iterable[Incident]) -> list[Verdict]:
    """Those that can be staged here."""
    return [judge(incident) for incident in incidents if not incident.missing]


def rows(verdicts: Sequence[Verdict]) -> list[str]:
    """One line for each incident."""
    lines = ["| staged | incident | is of | first finding | how sure | right |", "|---|---|---|---|---|---|"]
    for verdict in verdicts:
        incident, top = verdict.incident, verdict.top
        said = f"{top.rule} ({top.severity.value})" if top else "nothing"
        sure = top.certainty.value if top else ""
        right = "yes" if verdict.right else "**no**"
        if verdict.wrongly_proven:
            right += f", and wrongly proven: {', '.join(verdict.wrongly_proven)}"
        staged = "real" if incident.real else "world"
        lines.append(f"| {staged} | {incident.name} | {incident.about} | {said} | {sure} | {right} |")
    return lines


def confusion(verdicts: Sequence[Verdict]) -> list[str]:
    """What is, down; what was said, across: only what was said at least once."""
    said = Counter((v.incident.about, v.top.rule if v.top else "nothing") for v in verdicts)
    abouts = sorted({about for about, _ in said})
    tops = sorted({top for _, top in said})
    lines = [f"| is \\ said | {' | '.join(tops)} |", f"|---|{'---|' * len(tops)}"]
    lines += [f"| {about} | {' | '.join(str(said[about, top] or '') for top in tops)} |" for about in abouts]
    return lines


def sums(verdicts: Sequence[Verdict], incidents: Sequence[Incident]) -> list[str]:
    """The three figures that count, and what was not staged."""
    sick = [v for v in verdicts if v.incident.causes]
    well = [v for v in verdicts if not v.incident.causes]
    right = sum(v.right for v in sick)
    real = sum(v.incident.real for v in verdicts)
    said = (
        f"{right} of {len(sick)} incidents have their true cause first; {sum(v.right for v in well)} of {len(well)}"
        f" healthy servers were left in peace; {sum(bool(v.wrongly_proven) for v in verdicts)} wrong causes were called"
        f" proven. {real} of {len(verdicts)} are staged with real processes on a real server."
    )
    lines = [said]
    lines += [f"not staged: {one.name}: {one.missing}" for one in incidents if one.missing]
    return lines


__all__ = ["INNOCENT", "confusion", "judged", "rows", "sums"]
