"""The part of the JSON Schema that is about jobs and crontabs."""

from __future__ import annotations

from typing import Any

from pgusher.surfaces.render import schema as parts

_TEXT: dict[str, Any] = {"type": "string"}
_TEXTS: dict[str, Any] = {"type": "array", "items": _TEXT}
_MAYBE_TEXT: dict[str, Any] = {"type": ["string", "null"]}
_BOOL: dict[str, Any] = {"type": "boolean"}
_COUNT: dict[str, Any] = {"type": "integer", "minimum": 0}
_MAYBE_COUNT: dict[str, Any] = {"type": ["integer", "null"], "minimum": 0}
_TIME: dict[str, Any] = {"type": ["string", "null"], "description": "UTC, to the microsecond"}


def job_definitions() -> dict[str, Any]:
    """The definitions, by name; "jobs", "job", "output", "adopt" and "cron_check" are whole pages."""
    page, an_object, a_list, ref = parts.page, parts.an_object, parts.a_list, parts.ref
    return {
        "jobs": page("jobs", jobs=a_list("job_summary")),
        "job_summary": an_object(name=_TEXT, runs=_COUNT, bad=_COUNT, running=a_list("run"),
                                 last={"oneOf": [ref("run"), {"type": "null"}]}),
        "job": page("job", name=_TEXT, runs=a_list("run")),
        "output": page("output", run=ref("run"), output=_TEXT),
        "run": an_object(run=_TEXT, job=_TEXT, command=_TEXT, started=_TIME, ended=_TIME, ending=_TEXT,
                         exit={"type": ["integer", "null"]}, duration_ms={"type": ["integer", "null"]},
                         limit_ms=_MAYBE_COUNT, limit_source=_MAYBE_TEXT, peak_slots=_MAYBE_COUNT,
                         peak_memory=_MAYBE_COUNT, guard_pid=_COUNT,
                         evidence=_TEXTS),
        "adopt": page("adopt", applied=_BOOL, changes=a_list("adoption"), gaps=a_list("gap")),
        "adoption": an_object(place=_TEXT, diff=_TEXTS, backup=_MAYBE_TEXT, jobs=a_list("adopted_job")),
        "adopted_job": an_object(line=_COUNT, schedule=_TEXT, state={"enum": ["adopted", "guarded", "left"]}, why=_TEXT,
                                 name=_TEXT, limit=_TEXT),
        "cron_check": page("cron_check", findings=a_list("cron_finding"), gaps=a_list("gap")),
        "cron_finding": an_object(kind={"enum": ["no limit", "no start timeout", "overlap"]}, what=_TEXT, why=_TEXT,
                                  remedy=_TEXT, counts=_BOOL),
    }  # fmt: skip
