"""The screen of `pgusher why`: what is wrong, how that is known, what it costs, and what ends it."""

from __future__ import annotations

from collections.abc import Sequence

from pgusher.model.evidence import Gap
from pgusher.model.findings import Diagnosis, Finding, Remedy, Safety, Severity
from pgusher.model.holder import Chain, LinkKind
from pgusher.model.snapshot import Snapshot
from pgusher.surfaces.render import words
from pgusher.surfaces.render.advice import Command, advice_lines, broken
from pgusher.surfaces.render.chains import labelled, wrap
from pgusher.surfaces.render.diagnosed import Diagnosed
from pgusher.surfaces.render.headline import gap_lines, seen_from, server_words, verdict_lines
from pgusher.surfaces.render.screen import BLANK, Line, Screen, flow
from pgusher.surfaces.render.stacks import Seen, main_thread, stack_lines, stack_of, stack_table
from pgusher.surfaces.render.state import fact_line
from pgusher.surfaces.render.table import Column, table
from pgusher.surfaces.render.tally import tally

STYLES = {Severity.CRITICAL: "alarm", Severity.WARNING: "warn", Severity.NOTE: "dim"}
_EVIDENCE = 4
"""Facts of one finding that a terminal shows unless all are asked for."""
_STACKS = 3
"""Processes whose stack is shown of a holder about whom nothing was found."""
_MARGIN = 10
_SQL = frozenset({"alter", "select", "grant", "set", "revoke", "create"})

_FINDINGS = tuple(
    Column(title)
    for title in (
        "severity", "rule", "about", "certainty", "slots", "since", "holder", "pid", "thread", "file", "line",
        "message", "detail",
    )
)  # fmt: skip
_FACTS = tuple(Column(title) for title in ("rule", "about", "certainty", "evidence"))
_REMEDIES = tuple(Column(title) for title in ("rule", "about", "safety", "remedy", "command", "loses"))
_SKIPPED = tuple(Column(title) for title in ("skipped rule", "what it lacks", "why", "opens"))


def why_page(
    screen: Screen,
    servers: Sequence[Diagnosed],
    gaps: tuple[Gap, ...] = (),
    *,
    everything: bool = False,
) -> list[Line]:
    """Each server with its findings, worst first; `everything` (--all) shows notes, evidence and stacks whole."""
    lines: list[Line] = []
    for place, one in enumerate(servers):
        if place:
            lines.append(BLANK)
        lines += _server_lines(screen, one.snapshot, gaps if place == 0 else (), everything)
        lines += _pipe_lines(screen, one) if screen.pipe else _findings_lines(screen, one, everything)
    return lines


def _server_lines(screen: Screen, snapshot: Snapshot, gaps: tuple[Gap, ...], everything: bool) -> list[Line]:
    if screen.pipe or screen.plain:
        pairs = [("status", tally(snapshot).status.value), ("server", ", ".join(server_words(snapshot)))]
        pairs.append(("taken at", words.iso(snapshot.facts.taken_at)))
        lines = [fact_line(screen, name, text) for name, text in pairs]
        return lines + [fact_line(screen, "gap", gap.what, gap.why, gap.opens) for gap in snapshot.facts.gaps + gaps]
    place = flow(screen, [*server_words(snapshot), seen_from(snapshot)])
    # What is not known of the threads decides what the findings are worth: whole, and never behind "2 more gaps".
    stacks = [gap for gap in snapshot.facts.gaps if gap.source == "stacks" and snapshot.facts.stacks]
    others = tuple(gap for gap in snapshot.facts.gaps + gaps if gap not in stacks)
    lines = [*verdict_lines(screen, tally(snapshot)), *place, *gap_lines(others, everything)]
    for gap in stacks:
        lines += labelled(screen, "threads", f"{gap.what}: {gap.why}" if gap.why else gap.what, "", wrapped=True)
        lines += labelled(screen, "", gap.opens, "paste") if gap.opens else ()
    return lines


def _findings_lines(screen: Screen, one: Diagnosed, everything: bool) -> list[Line]:
    findings = one.diagnosis.findings
    lines: list[Line] = [[(_sum(one), "bold")]] if len(findings) > 1 else []
    chained: set[str] = set()
    stacked: set[tuple[int, int]] = set()
    shown = [f for f in findings if everything or f.severity is not Severity.NOTE]
    for finding in shown:
        lines += [BLANK, *_finding_lines(screen, one.snapshot, finding, chained, stacked, everything)]
    notes = [f for f in findings if f not in shown]
    if notes:
        lines.append(BLANK)
        for note in notes:
            lines += _short(screen, note)
    if not findings:
        about = "" if one.names is None else f" about {words.listed(list(one.names))}"
        asked = words.count(len(one.diagnosis.asked), "rule")
        lines += [BLANK, [(f"nothing was found{about}: {asked} asked", "good")]]
        lines += _bare_stacks(screen, one, everything)
    lines += _untold(screen, one.diagnosis, everything)
    if findings:
        first = shown[0] if shown else notes[0]
        lines += [
            BLANK,
            *advice_lines(screen, [Command(f"pgusher explain {first.rule}", "what it is, and when it is wrong")], ""),
        ]
    return lines


def _bare_stacks(screen: Screen, one: Diagnosed, everything: bool) -> list[Line]:
    """Of whom nothing is known to be wrong, at least what it does: whoever asked can judge by it."""
    lines: list[Line] = []
    seen = _main_threads(one)
    for found in seen if everything else seen[:_STACKS]:
        lines += [BLANK, *stack_lines(screen, found, None, everything)]
    if more := 0 if everything else len(seen[_STACKS:]):
        lines.append([(f"{screen.sign('more')} {words.count(more, 'further process')}: --all shows them", "dim")])
    return lines


def _main_threads(one: Diagnosed) -> list[Seen]:
    names = one.names or ()
    pids = [pid for holder in one.snapshot.holders if holder.name in names for pid in holder.processes]
    return [found for pid in pids if (found := main_thread(one.snapshot, pid)) is not None]


def _finding_lines(
    screen: Screen,
    snapshot: Snapshot,
    finding: Finding,
    chained: set[str],
    stacked: set[tuple[int, int]],
    everything: bool,
) -> list[Line]:
    head, *rest = wrap(screen, finding.message, _MARGIN)
    lines: list[Line] = [
        [(f"{finding.severity.value.upper():<{_MARGIN}}", STYLES[finding.severity]), (head, "bold")],
        *([(" " * _MARGIN, ""), (part, "bold")] for part in rest),
    ]
    facts = [finding.rule, finding.certainty.value]
    if finding.slots:
        facts.append(f"costs {finding.slots} of {words.count(snapshot.taken, 'taken slot')}")
    if finding.since is not None:
        facts.append(f"for {words.age_in_words(finding.since, snapshot.facts.taken_at)}")
    lines += flow(screen, facts, " " * _MARGIN)
    for sentence in finding.detail:
        lines += [[(" " * _MARGIN, ""), (part, "")] for part in wrap(screen, sentence, _MARGIN)]
    seen = stack_of(snapshot, finding)
    if seen is not None and (seen[0].pid, seen[1].native_id) not in stacked:
        stacked.add((seen[0].pid, seen[1].native_id))
        lines += stack_lines(screen, seen, finding, everything)
    lines += _evidence_lines(screen, finding, everything)
    if finding.holder is not None and finding.holder not in chained:
        chained.add(finding.holder)
        if text := chain_text(snapshot, finding):
            lines += labelled(screen, "chain", text, "", True)
    for place, remedy in enumerate(finding.remedies):
        lines += _remedy_lines(screen, remedy, "do" if place == 0 else "or")
    return lines


def _evidence_lines(screen: Screen, finding: Finding, everything: bool) -> list[Line]:
    facts = finding.evidence if everything or len(finding.evidence) <= _EVIDENCE + 1 else finding.evidence[:_EVIDENCE]
    lines: list[Line] = []
    for place, evidence in enumerate(facts):
        mark = evidence.certainty.value
        first, *rest = labelled(screen, "evidence" if place == 0 else "", f"{mark}: {evidence.fact}", "dim", True)
        label, (text, _) = first
        lines += [[label, (mark, mark), (text[len(mark) :], "dim")], *rest]
    if more := len(finding.evidence) - len(facts):
        lines += labelled(
            screen, "", f"{screen.sign('more')} {words.count(more, 'further fact')}: --all shows them", "dim"
        )
    return lines


def _remedy_lines(screen: Screen, remedy: Remedy, label: str) -> list[Line]:
    loses = f" (loses {remedy.loses})" if remedy.loses else " (unsafe)" if remedy.safety is Safety.UNSAFE else ""
    lines = labelled(screen, label, remedy.text + loses, "warn" if remedy.safety is Safety.UNSAFE else "", True)
    if remedy.command:
        # Broken at blanks, it must still be one command to the shell it is pasted into; SQL goes on by itself.
        on = "" if remedy.command.split(" ", 1)[0].lower() in _SQL else " \\"
        room = None if screen.width is None else screen.width - 12
        lines += [[(" " * 12, ""), (part, "paste")] for part in broken(screen.text(remedy.command), room, on)]
    return lines


def _short(screen: Screen, finding: Finding) -> list[Line]:
    head, *rest = wrap(screen, f"{finding.rule}: {finding.message}", _MARGIN)
    severity = f"{finding.severity.value.upper():<{_MARGIN}}"
    return [[(severity, STYLES[finding.severity]), (head, "")], *([(" " * _MARGIN, ""), (part, "")] for part in rest)]


def _sum(one: Diagnosed) -> str:
    """ "3 critical, 2 warnings, 1 note; they hold 72 of 100 taken slots"."""
    findings = one.diagnosis.findings
    counts = [(severity, sum(f.severity is severity for f in findings)) for severity in Severity]
    said = [f"{n} {s.value}{'s' if n > 1 and s is not Severity.CRITICAL else ''}" for s, n in counts if n]
    slots = {s.pid for s in one.snapshot.slot_sessions}
    held = slots.intersection(*[{pid for f in findings if f.slots for pid in f.sessions}])
    cost = f"; they hold {len(held)} of {words.count(one.snapshot.taken, 'taken slot')}" if held else ""
    return ", ".join(said) + cost


def _untold(screen: Screen, diagnosis: Diagnosis, everything: bool) -> list[Line]:
    """What was not asked, and what is not shown because somebody wished so."""
    lines: list[Line] = []
    reasons: dict[str, list[str]] = {}
    for skipped in diagnosis.skipped:
        if skipped.need == "earlier" and not everything:
            continue  # one look shows no coming and going: that is no lack of this one
        gap = skipped.gap
        reason = f"{gap.what}: {gap.why}" if gap.why else gap.what
        reasons.setdefault(f"{reason}\0{gap.opens}", []).append(skipped.rule)
    for key, rules in reasons.items():
        reason, _, opens = key.partition("\0")
        names = ", ".join(rules) if everything else words.listed(rules)
        lines += labelled(screen, "not asked", f"{names}: {reason}", "dim", True)
        if opens:
            lines += labelled(screen, "", f"to open it: {opens}", "dim", True)
    if diagnosis.ignored:
        text = ", ".join(diagnosis.ignored) if everything else words.listed(list(diagnosis.ignored))
        lines += labelled(screen, "ignored", f"{text}, by the configuration", "dim", True)
    return [BLANK, *lines] if lines else []


def chain_text(snapshot: Snapshot, finding: Finding) -> str:
    """The steps from a session of the finding to its holder, on one line; "" when there is no session."""
    chain = _chain(snapshot, finding)
    if chain is None or not chain.links:
        return ""
    to_holder = (link for link in chain.links if link.kind is not LinkKind.PANEL)
    links = (f"from {link.subject}" if link.kind is LinkKind.SOCKET else link.subject for link in to_holder)
    steps = [f"session {chain.pid}", *links]
    panel = next((f"; panel {one.subject}" for one in chain.links if one.kind is LinkKind.PANEL), "")
    others = len(finding.sessions) - 1
    more = f"; {words.count(others, 'session')} more like it" if others > 0 else ""
    return f"{' < '.join(steps)} ({chain.certainty.value}){panel}{more}"


def _chain(snapshot: Snapshot, finding: Finding) -> Chain | None:
    """That of its process whose stack is shown, if one of its sessions leads there."""
    chains = {chain.pid: chain for chain in snapshot.chains}
    own = [chains[pid] for pid in finding.sessions if pid in chains]
    if not own:
        own = [chain for chain in snapshot.chains if chain.holder == finding.holder]
    first = finding.processes[0] if finding.processes else None
    through = [c for c in own if any(link.pid == first and link.kind is LinkKind.PROCESS for link in c.links)]
    return next(iter(through or own), None)


def _pipe_lines(screen: Screen, one: Diagnosed) -> list[Line]:
    findings, skipped = one.diagnosis.findings, one.diagnosis.skipped
    rows = [
        (
            f.severity.value, f.rule, f.key, f.certainty.value, str(f.slots), words.iso(f.since), f.holder or "",
            str(f.processes[0]) if f.processes else "", f.thread or "", f.file or "", str(f.line) if f.line else "",
            f.message, " ".join(f.detail),
        )
        for f in findings
    ]  # fmt: skip
    lines: list[Line] = [fact_line(screen, "ignored", name) for name in one.diagnosis.ignored]
    lines += [BLANK, *table(screen, _FINDINGS, rows)]
    facts = [(f.rule, f.key, e.certainty.value, e.fact) for f in findings for e in f.evidence]
    lines += [BLANK, *table(screen, _FACTS, facts)] if facts else []
    remedies = [(f.rule, f.key, r.safety.value, r.text, r.command, r.loses) for f in findings for r in f.remedies]
    lines += [BLANK, *table(screen, _REMEDIES, remedies)] if remedies else []
    seen = [found for f in findings if (found := stack_of(one.snapshot, f)) is not None]
    lines += stack_table(screen, seen if findings else _main_threads(one), findings)
    lacks = [(s.rule, s.gap.what, s.gap.why, s.gap.opens) for s in skipped]
    return lines + ([BLANK, *table(screen, _SKIPPED, lacks)] if lacks else [])
