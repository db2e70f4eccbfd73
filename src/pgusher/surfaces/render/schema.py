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


_BUDGETS = ("budget", "budget_plan", "budget_sizing")
_JOBS = ("jobs", "job", "output", "adopt", "cron_check")
_GRAFANA = ("grafana", "grafana_patch", "grafana_panels", "grafana_check")
_PAST = ("history", "history_moment")
_KINDS = ("state", "who", "why", "plan", "applied", "undo", "rules", "page", "doctor", "error")


def json_schema() -> dict[str, Any]:
    """One schema for all commands; `kind` says which screen an object is."""
    from pgusher.surfaces.render.budget_schema import budget_definitions  # as the next
    from pgusher.surfaces.render.grafana_schema import grafana_definitions  # as the next
    from pgusher.surfaces.render.history_schema import history_definitions  # as the next
    from pgusher.surfaces.render.jobs_schema import job_definitions  # as the next, it takes the words below
    from pgusher.surfaces.render.plan_schema import plan_definitions  # it takes the words below

    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "what pgusher prints with --json",
        "oneOf": [{"$ref": f"#/$defs/{name}"} for name in (*_KINDS, *_BUDGETS, *_JOBS, *_GRAFANA, *_PAST)],
        "$defs": {
            "state": page("state", elapsed_ms={"type": "number"}, servers=a_list("full_server"), gaps=a_list("gap"),
                           next=a_list("next")),
            "who": page("who", word=_MAYBE_TEXT, matches=a_list("match"), gaps=a_list("gap")),
            "why": page("why", word=_MAYBE_TEXT, elapsed_ms={"type": "number"}, servers=a_list("diagnosed_server"),
                         gaps=a_list("gap")),
            "rules": page("rules", rules=a_list("rule")),
            "page": page("page", rule=_TEXT, markdown=_TEXT),
            "doctor": page("doctor", checks=a_list("check")),
            "error": page("error", message=_TEXT, detail=_MAYBE_TEXT, hint=_MAYBE_TEXT, exit=_COUNT),
            "server": an_object(**_server()),
            "full_server": an_object(**_server(), holders=a_list("state_holder"), findings=a_list("finding")),
            "diagnosed_server": an_object(**_server(), findings=a_list("finding"), skipped=a_list("skipped"),
                                        ignored=_TEXTS, asked=_TEXTS),
            "finding": an_object(**_finding()),
            "stack": an_object(pid=_PID, thread=_MAYBE_TEXT, native_id=_PID, main=_BOOL, state=_TEXT,
                               syscall=_MAYBE_TEXT,
                             endless=_MAYBE_BOOL, switched=_MAYBE_COUNT, sampled_ms=_COUNT, frames=a_list("frame")),
            "frame": an_object(function=_TEXT, file=_TEXT, line=_COUNT, text=_TEXT),
            "evidence": an_object(fact=_TEXT, certainty=one_of(Certainty)),
            "remedy": an_object(text=_TEXT, safety=one_of(Safety), command=_TEXT, loses=_TEXT),
            "skipped": an_object(rule=_TEXT, need=_TEXT, gap=ref("gap")),
            "rule": an_object(name=_TEXT, severity=one_of(Severity), summary=_TEXT),
            "ceiling": an_object(taken=_COUNT, limit=_COUNT),
            "limit": an_object(name=_TEXT, taken=_COUNT, limit=_COUNT),
            "view": an_object(rung=one_of(Rung), role=_MAYBE_TEXT, os_user=_MAYBE_TEXT, uid=_PID, sees_all=_MAYBE_BOOL,
                            refuses=_MAYBE_TEXT, refuses_all=_BOOL),
            "gap": an_object(source=_TEXT, what=_TEXT, why=_TEXT, opens=_TEXT, count=_COUNT),
            "holder": an_object(**_holder()),
            "state_holder": an_object(**_holder(), states=an_object(**{state.value: _COUNT for state in Doing})),
            "match": an_object(reading=_TEXT, server=ref("server"), holders=a_list("holder"),
                               sessions=a_list("session")),
            "session": an_object(**_session()),
            "chain": an_object(holder=_TEXT, end=one_of(ChainEnd), certainty=one_of(Certainty), links=a_list("link"),
                             conflicts={"type": "array", "items": _TEXT}),
            "link": an_object(kind=one_of(LinkKind), subject=_TEXT, pid={"type": ["integer", "null"]},
                            certainty=one_of(Certainty), evidence=_TEXT),
            "check": an_object(name=_TEXT, sight={"enum": ["sees", "partly", "blind"]}, fact=_TEXT, why=_TEXT,
                             opens=_TEXT),
            "next": an_object(command=_TEXT, reason=_TEXT),
            **plan_definitions(),
            **job_definitions(),
            **history_definitions(),
            **grafana_definitions(),
            **budget_definitions(),
        },
    }  # fmt: skip


def _server() -> dict[str, Any]:
    ceiling = {"oneOf": [ref("ceiling"), {"type": "null"}]}
    limits = {"oneOf": [a_list("limit"), {"type": "null"}]}
    return {
        "host": _MAYBE_TEXT, "port": _PID, "version": _MAYBE_TEXT, "cluster_name": _MAYBE_TEXT, "started": _TIME,
        "in_recovery": _MAYBE_BOOL, "taken_at": _TIME, "status": one_of(Status), "finding": _BOOL, "taken": _COUNT,
        "unstarted": _COUNT, "max_connections": {"type": ["integer", "null"]}, "ceilings_from": _MAYBE_TEXT,
        "ceilings_certainty": {"enum": [*(c.value for c in Certainty), None]}, "ordinary": ceiling, "reserved": ceiling,
        "superuser": ceiling, "roles": limits, "databases": limits, "view": ref("view"),
        "gaps": a_list("gap"),
    }  # fmt: skip


def _finding() -> dict[str, Any]:
    pids = {"type": "array", "items": _PID}
    return {
        "id": _TEXT, "rule": _TEXT, "key": _TEXT, "severity": one_of(Severity), "certainty": one_of(Certainty),
        "symptom": _BOOL, "message": _TEXT, "detail": _TEXTS, "holder": _MAYBE_TEXT, "sessions": pids,
        "processes": pids, "slots": _COUNT, "since": _TIME, "file": _MAYBE_TEXT,
        "line": {"type": ["integer", "null"]}, "thread": _MAYBE_TEXT, "evidence": a_list("evidence"),
        "stack": {"oneOf": [ref("stack"), {"type": "null"}]},
        "remedies": a_list("remedy"),
    }  # fmt: skip


def _holder() -> dict[str, Any]:
    pids = {"type": "array", "items": _PID}
    return {
        "name": _TEXT, "kind": one_of(HolderKind), "title": _TEXT, "slots": _COUNT, "unstarted": _COUNT,
        "sessions": pids,
        "processes": pids, "runs": _COUNT, "program": _MAYBE_TEXT, "limit": _MAYBE_TEXT,
        "stop": _MAYBE_TEXT, "oldest_session": _TIME, "oldest_seconds": _MAYBE_COUNT, "certainty": one_of(Certainty),
    }  # fmt: skip


def _session() -> dict[str, Any]:
    return {
        "pid": _PID, "backend_start": _TIME, "backend_type": _TEXT, "takes_slot": _BOOL, "own": _BOOL,
        "user": _MAYBE_TEXT, "superuser": _MAYBE_BOOL, "database": _MAYBE_TEXT, "application_name": _MAYBE_TEXT,
        "client": an_object(transport=one_of(Transport), host=_MAYBE_TEXT, port={"type": ["integer", "null"]}),
        "state": _MAYBE_TEXT, "state_change": _TIME, "query_start": _TIME, "xact_start": _TIME,
        "wait_event_type": _MAYBE_TEXT, "wait_event": _MAYBE_TEXT, "blocked_by": {"type": "array", "items": _PID},
        "query": _MAYBE_TEXT, "seen_by": one_of(SeenBy), "chain": ref("chain"),
        "panel": {"oneOf": [ref("sent"), {"type": "null"}]},
    }  # fmt: skip


def page(kind: str, **properties: Any) -> dict[str, Any]:
    """What one command prints: an object with its kind."""
    return an_object(schema={"const": SCHEMA}, kind={"const": kind}, **properties)


def an_object(**properties: Any) -> dict[str, Any]:
    """An object with these keys."""
    # Further keys may come within one schema number, so they are allowed; those that are there are always there.
    return {"type": "object", "properties": properties, "required": list(properties)}


def a_list(name: str) -> dict[str, Any]:
    """A list of one definition."""
    return {"type": "array", "items": ref(name)}


def ref(name: str) -> dict[str, str]:
    """One definition."""
    return {"$ref": f"#/$defs/{name}"}


def one_of(kind: Any) -> dict[str, Any]:
    """The values of an enumeration."""
    return {"enum": [member.value for member in kind]}
