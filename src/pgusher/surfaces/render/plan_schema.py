"""The part of the JSON Schema that is about plans and what came of them."""

from __future__ import annotations

from typing import Any

from pgusher.model.evidence import Certainty
from pgusher.model.findings import Safety
from pgusher.model.plan import Lever, OutcomeKind
from pgusher.surfaces.render import schema as parts

_TEXT: dict[str, Any] = {"type": "string"}
_TEXTS: dict[str, Any] = {"type": "array", "items": _TEXT}
_MAYBE_TEXT: dict[str, Any] = {"type": ["string", "null"]}
_BOOL: dict[str, Any] = {"type": "boolean"}
_COUNT: dict[str, Any] = {"type": "integer", "minimum": 0}
_MAYBE_COUNT: dict[str, Any] = {"type": ["integer", "null"], "minimum": 0}
_PIDS: dict[str, Any] = {"type": "array", "items": {"type": "integer"}}
_TIME: dict[str, Any] = {"type": ["string", "null"], "description": "UTC, to the microsecond"}


def plan_definitions() -> dict[str, Any]:
    """The definitions, by name; "plan", "applied" and "undo" are whole pages."""
    page, an_object, a_list, ref, one_of = parts.page, parts.an_object, parts.a_list, parts.ref, parts.one_of
    content = _content()
    verdict = an_object(verified=_BOOL, text=_TEXT, gone=_COUNT, left=_COUNT, returned=_COUNT, detail=_TEXTS,
                        proof=_TEXT, hint=_TEXT)  # fmt: skip
    outcome = an_object(step=_COUNT, outcome=one_of(OutcomeKind), text=_TEXT, at=_TIME, seen_after=_TEXT, hint=_TEXT)
    return {
        "plan": page("plan", **content, gaps=a_list("gap"), next=a_list("next")),
        "plan_content": an_object(**content),
        "applied": page("applied", plan=ref("plan_content"), outcomes=a_list("outcome"), verdict=ref("verdict"),
                        exit=_COUNT),
        "undo": page("undo", id=_TEXT, steps=a_list("undo_step")),
        "undo_step": an_object(step=_COUNT, holder=_MAYBE_TEXT, text=_TEXT, undo=_TEXTS),
        "outcome": outcome,
        "verdict": verdict,
        "step": an_object(
            number=_COUNT, lever=one_of(Lever), safety=one_of(Safety), loses=_TEXT, text=_TEXT, why=_TEXT,
            finding=_MAYBE_TEXT, certainty=one_of(Certainty), holder=_MAYBE_TEXT, confirm=_TEXT, slots=_COUNT,
            sessions=a_list("session_identity"), process={"oneOf": [ref("process_identity"), {"type": "null"}]},
            settings=a_list("role_setting"), source={"oneOf": [ref("source_change"), {"type": "null"}]}, undo=_TEXTS,
        ),
        "source_change": an_object(url=_TEXT, org=_COUNT, uid=_TEXT, name=_TEXT, before=_MAYBE_TEXT, after=_MAYBE_COUNT,
                                   user=_TEXT, database=_TEXT, replicas=_COUNT),
        "session_identity": an_object(pid={"type": "integer"}, backend_start=_TIME, state=_MAYBE_TEXT,
                                      state_change=_TIME, user=_MAYBE_TEXT, database=_MAYBE_TEXT),
        "process_identity": an_object(pid={"type": "integer"}, start_ticks=_COUNT, boot_id=_TEXT, command=_TEXT),
        "role_setting": an_object(role=_TEXT, setting=_TEXT, before=_MAYBE_TEXT, after=_MAYBE_TEXT),
        "spared": an_object(what=_TEXT, why=_TEXT, advice=_TEXT, protected=_BOOL, holder=_MAYBE_TEXT, sessions=_PIDS,
                            processes=_PIDS),
    }  # fmt: skip


def _content() -> dict[str, Any]:
    return {
        "id": _MAYBE_TEXT, "made_at": _TIME, "expires_at": _TIME, "uid": _COUNT, "port": {"type": "integer"},
        "host": _MAYBE_TEXT, "word": _MAYBE_TEXT, "taken": _MAYBE_COUNT, "own": _COUNT, "max_connections": _MAYBE_COUNT,
        "ordinary": _MAYBE_COUNT, "back": _COUNT, "holders": _TEXTS, "steps": parts.a_list("step"),
        "spared": parts.a_list("spared"),
    }  # fmt: skip
