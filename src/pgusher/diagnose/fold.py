"""One thing that two rules tell of is told once: the cause, with what the other saw as its evidence."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from pgusher.diagnose.hung import where
from pgusher.model.findings import Finding, Severity
from pgusher.model.stacks import Hang
from pgusher.model.values import replace

_BLOCKS = "blocked-by-idle"
_CAUSES = frozenset({"dead-thread-holds-slots", "stuck-job"})
_VICTIM = frozenset({"blocked-by-idle-session", "advisory-lock-held"})
"""Mechanisms of a process that waits in the server for a session that does nothing: its own finding says no more."""


def folded(findings: Iterable[Finding], hangs: object) -> tuple[Finding, ...]:
    """The findings, worst first, without those that say again what another says.

    That sessions wait for an idle one is what its process does by hanging: told with that, where its line is known.
    Who waits in the server for a session that blocks is told with that session, and not as a hang of its own.
    `hangs` is what a rule that needs them gets: a Gap when there are none.
    """
    known = {hang.pid: hang for hang in hangs if isinstance(hang, Hang)} if isinstance(hangs, tuple) else {}
    left = list(findings)
    for blocks in [one for one in left if one.rule == _BLOCKS]:
        cause = next((one for one in left if one.rule in _CAUSES and _is_same(one, blocks)), None)
        if cause is not None:
            left = [_with(one, blocks) if one is cause else one for one in left if one is not blocks]
            continue
        if blocks.severity is Severity.NOTE:
            continue
        victims = [one for one in left if one.rule in _CAUSES and _waits_for(one, blocks, known)]
        victims = [one for one in victims if one.rule != "stuck-job"]  # a run that is stuck is worth a word anyway
        if victims:
            told = _of(blocks, victims, known)
            left = [told if one is blocks else one for one in left if one not in victims]
    return tuple(sorted(left, key=lambda finding: finding.order))


def _is_same(cause: Finding, blocks: Finding) -> bool:
    place = (blocks.holder, blocks.file, blocks.line, blocks.thread)
    return None not in place and place == (cause.holder, cause.file, cause.line, cause.thread)


def _with(cause: Finding, blocks: Finding) -> Finding:
    said = blocks.message.removeprefix(f"{blocks.key}: ")
    new = (f"{said[:1].upper()}{said[1:]}.", *(one for one in blocks.detail if one not in cause.detail))
    return replace(
        cause,
        severity=min(cause.severity, blocks.severity, key=lambda one: one.rank),
        detail=(*cause.detail, *new),
        evidence=(*cause.evidence, *(one for one in blocks.evidence if one not in cause.evidence)),
    )


def _waits_for(victim: Finding, blocks: Finding, known: dict[int, Hang]) -> bool:
    mine = [known[pid] for pid in victim.processes if pid in known]
    heads = set(blocks.sessions)
    return bool(mine) and all(one.mechanism in _VICTIM and heads.issuperset(one.sessions) for one in mine)


def _of(blocks: Finding, victims: Sequence[Finding], known: dict[int, Hang]) -> Finding:
    mine = [known[pid] for victim in victims for pid in victim.processes if pid in known]
    said = [f"Process {one.pid} waits for it at {where(one) or 'a line not known'}." for one in mine[:4]]
    more = [f"{len(mine) - 4} processes more wait for it."] if len(mine) > 4 else []
    return replace(blocks, detail=(*blocks.detail, *said, *more))
