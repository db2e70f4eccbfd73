"""The JSON Schema (2020-12) of what --json prints."""

from __future__ import annotations

from typing import Any

from pgusher.model.address import Transport
from pgusher.model.evidence import Certainty
from pgusher.model.findings import Safety, Severity
from pgusher.model.holder import ChainEnd, HolderKind, LinkKind
from pgusher.model.server import Rung
from pgusher.model.session import SeenBy
from pgusher.surfaces.render.asjson import SCHEMA
from pgusher.surfaces.render.tally import Doing, Status

_TEXT = {"type": "string"}
_TEXTS = {"type": "array", "items": {"type": "string"}}
_MAYBE_TEXT = {"type": ["string", "null"]}
_MAYBE_BOOL = {"type": ["boolean", "null"]}
_BOOL = {"type": "boolean"}
_COUNT = {"type": "integer", "minimum": 0}
_MAYBE_COUNT = {"type": ["integer", "null"], "minimum": 0}
_PID = {"type": "integer"}
_TIME = {"type": ["string", "null"], "description": "UTC, to the microsecond: 2026-01-24T03:12:00.123456Z"}


_KINDS = ("state", "who", "why", "rules", "page", "doctor", "error")


def json_schema() -> dict[str, Any]:
    """One schema for all commands; `kind` says which screen an object is."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "what pgusher prints with --json",
        "oneOf": [{"$ref": f"#/$defs/{name}"} for name in _KINDS],
        "$defs": {
            "state": _page("state", elapsed_ms={"type": "number"}, servers=_list("full_server"), gaps=_list("gap"),
                           next=_list("next")),
            "who": _page("who", word=_MAYBE_TEXT, matches=_list("match"), gaps=_list("gap")),
            "why": _page("why", word=_MAYBE_TEXT, elapsed_ms={"type": "number"}, servers=_list("diagnosed_server"),
                         gaps=_list("gap")),
            "rules": _page("rules", rules=_list("rule")),
            "page": _page("page", rule=_TEXT, markdown=_TEXT),
            "doctor": _page("doctor", checks=_list("check")),
            "error": _page("error", message=_TEXT, detail=_MAYBE_TEXT, hint=_MAYBE_TEXT, exit=_COUNT),
            "server": _object(**_server()),
            "full_server": _object(**_server(), holders=_list("state_holder"), findings=_list("finding")),
            "diagnosed_server": _object(**_server(), findings=_list("finding"), skipped=_list("skipped"),
                                        ignored=_TEXTS, asked=_TEXTS),
            "finding": _object(**_finding()),
            "stack": _object(pid=_PID, thread=_MAYBE_TEXT, native_id=_PID, main=_BOOL, state=_TEXT, syscall=_MAYBE_TEXT,
                             endless=_MAYBE_BOOL, switched=_MAYBE_COUNT, sampled_ms=_COUNT, frames=_list("frame")),
            "frame": _object(function=_TEXT, file=_TEXT, line=_COUNT, text=_TEXT),
            "evidence": _object(fact=_TEXT, certainty=_one_of(Certainty)),
            "remedy": _object(text=_TEXT, safety=_one_of(Safety), command=_TEXT, loses=_TEXT),
            "skipped": _object(rule=_TEXT, need=_TEXT, gap=_ref("gap")),
            "rule": _object(name=_TEXT, severity=_one_of(Severity), summary=_TEXT),
            "ceiling": _object(taken=_COUNT, limit=_COUNT),
            "limit": _object(name=_TEXT, taken=_COUNT, limit=_COUNT),
            "view": _object(rung=_one_of(Rung), role=_MAYBE_TEXT, os_user=_MAYBE_TEXT, uid=_PID, sees_all=_MAYBE_BOOL,
                            refuses=_MAYBE_TEXT, refuses_all=_BOOL),
            "gap": _object(source=_TEXT, what=_TEXT, why=_TEXT, opens=_TEXT, count=_COUNT),
            "holder": _object(**_holder()),
            "state_holder": _object(**_holder(), states=_object(**{state.value: _COUNT for state in Doing})),
            "match": _object(reading=_TEXT, server=_ref("server"), holders=_list("holder"), sessions=_list("session")),
            "session": _object(**_session()),
            "chain": _object(holder=_TEXT, end=_one_of(ChainEnd), certainty=_one_of(Certainty), links=_list("link"),
                             conflicts={"type": "array", "items": _TEXT}),
            "link": _object(kind=_one_of(LinkKind), subject=_TEXT, pid={"type": ["integer", "null"]},
                            certainty=_one_of(Certainty), evidence=_TEXT),
            "check": _object(name=_TEXT, sight={"enum": ["sees", "partly", "blind"]}, fact=_TEXT, why=_TEXT,
                             opens=_TEXT),
            "next": _object(command=_TEXT, reason=_TEXT),
        },
    }  # fmt: skip


def _server() -> dict[str, Any]:
    ceiling = {"oneOf": [_ref("ceiling"), {"type": "null"}]}
    limits = {"oneOf": [_list("limit"), {"type": "null"}]}
    return {
        "host": _MAYBE_TEXT, "port": _PID, "version": _MAYBE_TEXT, "cluster_name": _MAYBE_TEXT, "started": _TIME,
        "in_recovery": _MAYBE_BOOL, "taken_at": _TIME, "status": _one_of(Status), "finding": _BOOL, "taken": _COUNT,
        "unstarted": _COUNT, "max_connections": {"type": ["integer", "null"]}, "ceilings_from": _MAYBE_TEXT,
        "ceilings_certainty": {"enum": [*(c.value for c in Certainty), None]}, "ordinary": ceiling, "reserved": ceiling,
        "superuser": ceiling, "roles": limits, "databases": limits, "view": _ref("view"),
        "gaps": _list("gap"),
    }  # fmt: skip


def _finding() -> dict[str, Any]:
    pids = {"type": "array", "items": _PID}
    return {
        "id": _TEXT, "rule": _TEXT, "key": _TEXT, "severity": _one_of(Severity), "certainty": _one_of(Certainty),
        "symptom": _BOOL, "message": _TEXT, "detail": _TEXTS, "holder": _MAYBE_TEXT, "sessions": pids,
        "processes": pids, "slots": _COUNT, "since": _TIME, "file": _MAYBE_TEXT,
        "line": {"type": ["integer", "null"]}, "thread": _MAYBE_TEXT, "evidence": _list("evidence"),
        "stack": {"oneOf": [_ref("stack"), {"type": "null"}]},
        "remedies": _list("remedy"),
    }  # fmt: skip


def _holder() -> dict[str, Any]:
    pids = {"type": "array", "items": _PID}
    return {
        "name": _TEXT, "kind": _one_of(HolderKind), "title": _TEXT, "slots": _COUNT, "unstarted": _COUNT,
        "sessions": pids,
        "processes": pids, "runs": _COUNT, "program": _MAYBE_TEXT, "limit": _MAYBE_TEXT,
        "stop": _MAYBE_TEXT, "oldest_session": _TIME, "oldest_seconds": _MAYBE_COUNT, "certainty": _one_of(Certainty),
    }  # fmt: skip


def _session() -> dict[str, Any]:
    return {
        "pid": _PID, "backend_start": _TIME, "backend_type": _TEXT, "takes_slot": _BOOL, "own": _BOOL,
        "user": _MAYBE_TEXT, "superuser": _MAYBE_BOOL, "database": _MAYBE_TEXT, "application_name": _MAYBE_TEXT,
        "client": _object(transport=_one_of(Transport), host=_MAYBE_TEXT, port={"type": ["integer", "null"]}),
        "state": _MAYBE_TEXT, "state_change": _TIME, "query_start": _TIME, "xact_start": _TIME,
        "wait_event_type": _MAYBE_TEXT, "wait_event": _MAYBE_TEXT, "blocked_by": {"type": "array", "items": _PID},
        "query": _MAYBE_TEXT, "seen_by": _one_of(SeenBy), "chain": _ref("chain"),
    }  # fmt: skip


def _page(kind: str, **properties: Any) -> dict[str, Any]:
    return _object(schema={"const": SCHEMA}, kind={"const": kind}, **properties)


def _object(**properties: Any) -> dict[str, Any]:
    # Further keys may come within one schema number, so they are allowed; those that are there are always there.
    return {"type": "object", "properties": properties, "required": list(properties)}


def _list(name: str) -> dict[str, Any]:
    return {"type": "array", "items": _ref(name)}


def _ref(name: str) -> dict[str, str]:
    return {"$ref": f"#/$defs/{name}"}


def _one_of(kind: Any) -> dict[str, Any]:
    return {"enum": [member.value for member in kind]}
