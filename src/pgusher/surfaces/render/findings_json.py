"""The JSON form of a finding; `schema.py` describes it."""

from __future__ import annotations

from typing import Any

from pgusher.model.findings import Finding
from pgusher.surfaces.render import words


def finding_json(finding: Finding) -> dict[str, Any]:
    """One finding, with its evidence and its remedies."""
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
        "evidence": [{"fact": one.fact, "certainty": one.certainty.value} for one in finding.evidence],
        "remedies": [
            {"text": one.text, "safety": one.safety.value, "command": one.command, "loses": one.loses}
            for one in finding.remedies
        ],
    }
