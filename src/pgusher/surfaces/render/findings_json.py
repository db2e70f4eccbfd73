"""The JSON form of a finding; `schema.py` describes it."""

from __future__ import annotations

from typing import Any

from pgusher.model.findings import Finding
from pgusher.model.stacks import ProcessStacks, ThreadStack
from pgusher.surfaces.render import words


def finding_json(finding: Finding, seen: tuple[ProcessStacks, ThreadStack] | None = None) -> dict[str, Any]:
    """One finding, with its evidence and its remedies; `seen` is the thread that it is about."""
    return {
        "id": finding.id,
        "rule": finding.rule,
        "key": finding.key,
        "severity": finding.severity.value,
        "certainty": finding.certainty.value,
        "symptom": finding.symptom,
        "message": finding.message,
        "detail": list(finding.detail),
        "holder": finding.holder,
        "sessions": list(finding.sessions),
        "processes": list(finding.processes),
        "slots": finding.slots,
        "since": words.iso(finding.since) or None,
        "file": finding.file,
        "line": finding.line,
        "thread": finding.thread,
        "stack": None if seen is None else _stack(*seen),
        "evidence": [{"fact": one.fact, "certainty": one.certainty.value} for one in finding.evidence],
        "remedies": [
            {"text": one.text, "safety": one.safety.value, "command": one.command, "loses": one.loses}
            for one in finding.remedies
        ],
    }


def _stack(stacks: ProcessStacks, thread: ThreadStack) -> dict[str, Any]:
    return {
        "pid": stacks.pid,
        "thread": thread.name,
        "native_id": thread.native_id,
        "main": thread.main,
        "state": thread.state,
        "syscall": thread.syscall,
        "endless": thread.endless,
        "switched": thread.switched,
        "sampled_ms": stacks.sampled_ms,
        "frames": [
            {"function": frame.function, "file": frame.file, "line": frame.line, "text": frame.text}
            for frame in thread.frames
        ],
    }
