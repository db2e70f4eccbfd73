"""The JSON form of a plan and of what came of it; `plan_schema.py` describes it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pgusher.model.evidence import Gap
from pgusher.model.plan import Outcome, Plan, ProcessIdentity, SessionIdentity, SourceChange, Spared, Step, Verdict
from pgusher.surfaces.render import words
from pgusher.surfaces.render.asjson import SCHEMA, gap_json
from pgusher.surfaces.render.plan import confirm_name


def plan_json(plan: Plan, commands: Sequence[tuple[str, str]] = (), gaps: tuple[Gap, ...] = ()) -> dict[str, Any]:
    """What `pgusher free --json` prints."""
    return {
        "schema": SCHEMA,
        "kind": "plan",
        **_plan(plan),
        "gaps": [gap_json(gap) for gap in gaps],
        "next": [{"command": command, "reason": reason} for command, reason in commands],
    }


def applied_json(plan: Plan, outcomes: Sequence[Outcome], verdict: Verdict, code: int) -> dict[str, Any]:
    """What `pgusher free --apply PLAN --json` prints."""
    return {
        "schema": SCHEMA,
        "kind": "applied",
        "plan": _plan(plan),
        "outcomes": [
            {
                "step": one.step,
                "outcome": one.kind.value,
                "text": one.text,
                "at": words.iso(one.at) or None,
                "seen_after": one.seen_after,
                "hint": one.hint,
            }
            for one in outcomes
        ],
        "verdict": {
            "verified": verdict.verified,
            "text": verdict.text,
            "gone": verdict.gone,
            "left": verdict.left,
            "returned": verdict.returned,
            "detail": list(verdict.detail),
            "proof": verdict.proof,
            "hint": verdict.hint,
        },
        "exit": code,
    }


def undo_json(plan: Plan) -> dict[str, Any]:
    """What `pgusher undo-help PLAN --json` prints."""
    steps = [{"step": s.number, "holder": s.holder, "text": s.text, "undo": list(s.undo)} for s in plan.steps]
    return {"schema": SCHEMA, "kind": "undo", "id": plan.id, "steps": steps}


def _plan(plan: Plan) -> dict[str, Any]:
    return {
        "id": plan.id if plan.steps else None,
        "made_at": words.iso(plan.made_at) or None,
        "expires_at": words.iso(plan.expires_at) or None,
        "uid": plan.uid,
        "port": plan.server.port,
        "host": plan.server.host,
        "word": plan.asked,
        "taken": plan.slots.taken,
        "own": plan.slots.own,
        "max_connections": plan.slots.maximum,
        "ordinary": plan.slots.ordinary,
        "back": plan.slots.back,
        "holders": list(plan.holders),
        "steps": [_step(step) for step in plan.steps],
        "spared": [_spared(one) for one in plan.spared],
    }


def _step(step: Step) -> dict[str, Any]:
    return {
        "number": step.number,
        "lever": step.lever.value,
        "safety": step.safety.value,
        "loses": step.loses,
        "text": step.text,
        "why": step.why,
        "finding": step.finding,
        "certainty": step.certainty.value,
        "holder": step.holder,
        "confirm": confirm_name(step),
        "slots": step.slots,
        "sessions": [_session(one) for one in step.sessions],
        "process": _process(step.process),
        "settings": [
            {"role": one.role, "setting": one.setting, "before": one.before, "after": one.after}
            for one in step.settings
        ],
        "source": _source(step.source),
        "undo": list(step.undo),
    }


def _source(one: SourceChange | None) -> dict[str, Any] | None:
    if one is None:
        return None
    return {
        "url": one.url,
        "org": one.org,
        "uid": one.uid,
        "name": one.name,
        "before": one.before or None,
        "after": one.after,
        "user": one.user,
        "database": one.database,
        "replicas": one.replicas,
    }


def _session(one: SessionIdentity) -> dict[str, Any]:
    return {
        "pid": one.pid,
        "backend_start": words.iso(one.backend_start) or None,
        "state": one.state,
        "state_change": words.iso(one.state_change) or None,
        "user": one.user,
        "database": one.database,
    }


def _process(one: ProcessIdentity | None) -> dict[str, Any] | None:
    if one is None:
        return None
    return {"pid": one.pid, "start_ticks": one.start_ticks, "boot_id": one.boot_id, "command": one.command}


def _spared(one: Spared) -> dict[str, Any]:
    return {
        "what": one.what,
        "why": one.why,
        "advice": one.advice,
        "protected": one.protected,
        "holder": one.holder,
        "sessions": list(one.sessions),
        "processes": list(one.processes),
    }
