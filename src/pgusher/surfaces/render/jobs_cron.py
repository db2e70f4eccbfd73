"""The screens of `pgusher cron`: crontab lines that would be guarded, as a diff, and jobs without a limit."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pgusher.model.evidence import Gap
from pgusher.model.values import dataclass
from pgusher.surfaces.render import words
from pgusher.surfaces.render.asjson import SCHEMA
from pgusher.surfaces.render.chains import labelled, wrap
from pgusher.surfaces.render.screen import BLANK, Line, Screen, Span
from pgusher.surfaces.render.table import Column, table


@dataclass(frozen=True, slots=True)
class Job:
    """One job of a crontab, and what is to become of it."""

    line: int
    schedule: str
    state: str
    """"adopted", "guarded" or "left"."""
    why: str
    name: str
    limit: str


@dataclass(frozen=True, slots=True)
class Change:
    """One crontab or drop-in."""

    place: str
    diff: tuple[str, ...]
    jobs: tuple[Job, ...]
    backup: str = ""
    """Where the old one is, once the new one was written."""


@dataclass(frozen=True, slots=True)
class Finding:
    """What `pgusher cron check` found."""

    kind: str
    what: str
    why: str
    remedy: str
    counts: bool


_CHECK = tuple(Column(title) for title in ("kind", "what", "why", "remedy", "counts"))
_STYLES = {"+": "good", "-": "alarm", "@": "head"}


def adopt_page(screen: Screen, changes: Sequence[Change], gaps: Sequence[Gap], applied: bool, typed: str) -> list[Line]:
    """The diffs, what was left and why, and how it is written."""
    lines: list[Line] = []
    for change in changes:
        for text in change.diff:
            style = _STYLES.get(text[:1], "")
            # What would be written is to be read whole: it is never cut.
            first, *rest = [text] if screen.pipe else wrap(screen, text, 4) or [text]
            lines += [[(first, style)], *([("    ", ""), (part, style)] for part in rest)]
    if screen.pipe:  # a diff is for patch(1): nothing else
        return lines
    adopted = sum(job.state == "adopted" for change in changes for job in change.jobs)
    guarded = sum(job.state == "guarded" for change in changes for job in change.jobs)
    left = [(change, job) for change in changes for job in change.jobs if job.state == "left"]
    lines += [BLANK] if lines else []
    done = ("is" if adopted == 1 else "are") + " now guarded" if applied else "would be guarded"
    said = f"{words.count(adopted, 'job')} {done}, {guarded} already, {len(left)} left as they are"
    lines.append([(said, "bold")])
    for change, job in left:
        first, *rest = wrap(screen, f"{change.place}:{job.line} {job.why}", 2)
        lines += [[("  ", ""), (part, "")] for part in (first, *rest)]
    for gap in gaps:
        lines += labelled(screen, "not read", f"{gap.what}: {gap.why}", "warn", True)
    if applied:
        for change in changes:
            if change.backup:
                lines += labelled(screen, "kept", change.backup, "", True)
    elif any(change.diff for change in changes):
        lines += [BLANK, [(typed, "command"), ("  writes it; the old ones are kept", "")]]
    return lines


def check_page(screen: Screen, findings: Sequence[Finding], gaps: Sequence[Gap]) -> list[Line]:
    """Each job without a limit, and each that overlapped."""
    if screen.pipe:
        rows = [(f.kind, f.what, f.why, f.remedy, "yes" if f.counts else "no") for f in findings]
        return list(table(screen, _CHECK, rows)) if rows else []
    counting = [one for one in findings if one.counts]
    others = len(findings) - len(counting)
    lines: list[Line] = [[(f"{words.count(len(counting), 'finding')} about jobs", "bold")]]
    for one in counting:
        head: list[Span] = [(f"{one.kind}  ", "warn"), (one.what, "name")]
        lines += [BLANK, head, *labelled(screen, "why", one.why, "", True)]
        lines += labelled(screen, "do", one.remedy, "command", True)
    if others:
        noted = ", ".join(dict.fromkeys(one.what for one in findings if not one.counts))
        lines += [BLANK, *labelled(screen, "noted", f"{others} more that do not count: {noted}", "", True)]
    for gap in gaps:
        lines += labelled(screen, "not read", f"{gap.what}: {gap.why}", "warn", True)
    return lines


def adopt_json(changes: Sequence[Change], gaps: Sequence[Gap], applied: bool) -> dict[str, Any]:
    """What `pgusher cron adopt --json` prints."""
    return {
        "schema": SCHEMA,
        "kind": "adopt",
        "applied": applied,
        "changes": [
            {
                "place": change.place,
                "diff": list(change.diff),
                "backup": change.backup or None,
                "jobs": [
                    {name: getattr(job, name) for name in ("line", "schedule", "state", "why", "name", "limit")}
                    for job in change.jobs
                ],
            }
            for change in changes
        ],
        "gaps": _gaps(gaps),
    }


def check_json(findings: Sequence[Finding], gaps: Sequence[Gap]) -> dict[str, Any]:
    """What `pgusher cron check --json` prints."""
    names = ("kind", "what", "why", "remedy", "counts")
    return {
        "schema": SCHEMA,
        "kind": "cron_check",
        "findings": [{name: getattr(one, name) for name in names} for one in findings],
        "gaps": _gaps(gaps),
    }


def _gaps(gaps: Sequence[Gap]) -> list[dict[str, Any]]:
    return [
        {"source": gap.source, "what": gap.what, "why": gap.why, "opens": gap.opens, "count": gap.count} for gap in gaps
    ]
