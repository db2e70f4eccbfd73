"""The screen of `pgusher`: how full, who holds what, what to type next."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pgusher.model.evidence import Gap
from pgusher.model.findings import Finding, Severity
from pgusher.model.snapshot import Snapshot
from pgusher.surfaces.render import words
from pgusher.surfaces.render.advice import Command, advice_lines, next_commands
from pgusher.surfaces.render.headline import (
    counts,
    gap_lines,
    heading,
    limit_words,
    nobody,
    refusal,
    server_words,
    unasked,
    verdict_text,
    waiting,
)
from pgusher.surfaces.render.holders import holder_table
from pgusher.surfaces.render.letters import assign
from pgusher.surfaces.render.screen import BLANK, TAB, Line, Screen
from pgusher.surfaces.render.seats import seat_map
from pgusher.surfaces.render.table import Column, table
from pgusher.surfaces.render.tally import by_sql, tally

_LEAST_ROWS = 6
"""Holders that are shown on the lowest terminal."""
FINDINGS = 3
"""Lines about findings that a terminal shows unless all are asked for."""


def state_page(
    screen: Screen,
    snapshots: tuple[Snapshot, ...],
    gaps: tuple[Gap, ...] = (),
    *,
    letters: Mapping[str, str] | None = None,
    repeat: str = "pgusher",
    program: str = "pgusher",
    everything: bool = False,
    findings: Sequence[Finding] = (),
) -> list[Line]:
    """The fullest server whole, the others by one line each.

    `letters` are those of the look before (`letters.assign`); `repeat` is the command as it was typed, with its
    connection options, for the commands to type next, `program` how sudo finds it; `everything` is --all.
    `findings` are what is wrong with the fullest server, as far as it is known without a look at threads.
    """
    if not snapshots:
        return [[("no server seen", "warn")], *gap_lines(gaps, everything=True)]
    first, others = snapshots[0], snapshots[1:]
    known = letters if letters is not None else assign(first.holders)
    if screen.pipe or screen.plain:
        return _plain(screen, first, others, gaps, known, repeat, program, findings)
    sums = tally(first)
    above = heading(screen, first, sums, everything)
    above += gap_lines(first.facts.gaps + gaps, everything)
    above.append(BLANK)
    if seats := seat_map(screen, first, known):
        above += [*seats, BLANK]
    commands = next_commands(first, sums, repeat, bool(gaps), program, findings)
    below = [BLANK, *told] if (told := finding_lines(findings, everything)) else []
    below += [BLANK, *advice_lines(screen, commands)] if commands else []
    below += _others(screen, others, repeat)
    rows = None
    if not everything and screen.height is not None:
        # One line is the heading of the table, one is left for the shell's prompt.
        rows = max(_LEAST_ROWS, screen.height - len(above) - len(below) - 2)
    lines = [*above, *(holder_table(screen, first, known, rows) or [[(nobody(first), "")]]), *below]
    return lines if everything else _squeezed(screen, lines)


def _squeezed(screen: Screen, lines: list[Line]) -> list[Line]:
    """On a terminal that is too low for it the blank lines go, so that the first line stays in sight."""
    excess = len(lines) + 1 - (screen.height or len(lines) + 1)
    kept: list[Line] = []
    for line in reversed(lines):
        if excess > 0 and not line:
            excess -= 1
        else:
            kept.append(line)
    return kept[::-1]


def _others(screen: Screen, others: tuple[Snapshot, ...], repeat: str) -> list[Line]:
    if not others:
        return []
    commands = []
    for snapshot in others:
        sums = tally(snapshot)
        reason = f"{sums.status.value.upper()}: {counts(sums)}"
        commands.append(Command(f"{repeat} --port {snapshot.facts.server.port}", reason))
    return [BLANK, *advice_lines(screen, commands, "also")]


def _plain(
    screen: Screen,
    first: Snapshot,
    others: tuple[Snapshot, ...],
    gaps: tuple[Gap, ...],
    letters: Mapping[str, str],
    repeat: str,
    program: str,
    findings: Sequence[Finding],
) -> list[Line]:
    """The same in words and tables: a fact a line, its name first."""
    sums, facts = tally(first), first.facts
    pairs = [
        ("status", sums.status.value),
        ("slots", counts(sums)),
        *([("connections", verdict_text(sums) if sums.crowded else waiting(sums.unstarted))] if sums.unstarted else []),
        ("server", ", ".join(server_words(first))),
        ("taken at", words.iso(facts.taken_at)),
        ("view", facts.view.rung.value),
        ("as", facts.view.role or facts.host.user or str(facts.host.uid)),
        ("refusal", refusal(first) or unasked(first) or ("refuses nobody" if by_sql(first) else "not asked")),
    ]
    pairs += [("limit", text) for text in limit_words(sums, first, True)]
    lines = [fact_line(screen, name, text) for name, text in pairs]
    lines += [fact_line(screen, "gap", gap.what, gap.why, gap.opens) for gap in facts.gaps + gaps]
    told = [f for f in findings if not f.symptom]
    lines += [fact_line(screen, "finding", f.severity.value, f.rule, f.message) for f in told]
    lines.append(BLANK)
    lines += holder_table(screen, first, letters)
    if others:
        columns = [Column(title) for title in ("port", "status", "slots")]
        rows = [(str(s.facts.server.port), tally(s).status.value, counts(tally(s))) for s in others]
        lines += [BLANK, *table(screen, columns, rows)]
    if not screen.pipe and (commands := next_commands(first, sums, repeat, bool(gaps), program, findings)):
        lines += [BLANK, *advice_lines(screen, commands)]
    return lines


def finding_lines(findings: Sequence[Finding], everything: bool = False) -> list[Line]:
    """What is behind it, one line each: the worst, without what the first line of the screen has said, and notes."""
    told = [f for f in findings if not f.symptom and f.severity is not Severity.NOTE]
    shown = told if everything or len(told) <= FINDINGS else told[: FINDINGS - 1]
    lines: list[Line] = []
    for place, finding in enumerate(shown):
        style = "bold" if finding.severity is Severity.CRITICAL else ""
        lines.append([("why   " if place == 0 else " " * 6, "dim"), (finding.message, style)])
    if more := told[len(shown) :]:
        slots = sum(finding.slots for finding in more)
        cost = f", {words.count(slots, 'slot')}" if slots else ""
        lines.append([(f"      and {len(more)} more findings{cost}", "dim")])
    return lines


def fact_line(screen: Screen, name: str, *texts: str) -> Line:
    """ "server: PostgreSQL 15.18 on port 5432"; in a pipe each text in a column of its own."""
    if screen.pipe:
        return [(name, "head"), *(span for text in texts for span in (TAB, (text, "")))]
    return [(f"{name}: ", "head"), ("; ".join(filter(None, texts)), "")]
