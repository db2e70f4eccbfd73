"""The JSON form of the screens about findings, rules and pages; `schema.py` describes it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pgusher.model.evidence import Gap
from pgusher.surfaces.render.asjson import SCHEMA, gap_json, server_json
from pgusher.surfaces.render.diagnosed import Diagnosed
from pgusher.surfaces.render.findings_json import finding_json
from pgusher.surfaces.render.rules import Rule
from pgusher.surfaces.render.stacks import stack_of


def why_json(
    servers: Sequence[Diagnosed], gaps: tuple[Gap, ...], elapsed_ms: float, word: str | None
) -> dict[str, Any]:
    """What `pgusher why --json` prints."""
    return {
        "schema": SCHEMA,
        "kind": "why",
        "word": word,
        "elapsed_ms": round(elapsed_ms, 3),
        "servers": [{**server_json(one.snapshot), **diagnosis_json(one)} for one in servers],
        "gaps": [gap_json(gap) for gap in gaps],
    }


def diagnosis_json(one: Diagnosed) -> dict[str, Any]:
    """What was found, what could not be asked, and what is ignored."""
    diagnosis = one.diagnosis
    return {
        "findings": [finding_json(finding, stack_of(one.snapshot, finding)) for finding in diagnosis.findings],
        "skipped": [
            {"rule": skipped.rule, "need": skipped.need, "gap": gap_json(skipped.gap)} for skipped in diagnosis.skipped
        ],
        "ignored": list(diagnosis.ignored),
        "asked": list(diagnosis.asked),
    }


def rules_json(rules: Sequence[Rule]) -> dict[str, Any]:
    """What `pgusher rules --json` prints."""
    listed = [{"name": rule.name, "severity": rule.severity.value, "summary": rule.summary} for rule in rules]
    return {"schema": SCHEMA, "kind": "rules", "rules": listed}


def page_json(rule: str, text: str) -> dict[str, Any]:
    """What `pgusher explain RULE --json` prints."""
    return {"schema": SCHEMA, "kind": "page", "rule": rule, "markdown": text}
