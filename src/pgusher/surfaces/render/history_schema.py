"""The part of the JSON Schema that is about the past."""

from __future__ import annotations

from typing import Any

from pgusher.surfaces.render import schema as parts

_TEXT: dict[str, Any] = {"type": "string"}
_MAYBE_TEXT: dict[str, Any] = {"type": ["string", "null"]}
_BOOL: dict[str, Any] = {"type": "boolean"}
_COUNT: dict[str, Any] = {"type": "integer", "minimum": 0}
_MAYBE_COUNT: dict[str, Any] = {"type": ["integer", "null"], "minimum": 0}
_TIME: dict[str, Any] = {"type": "string", "description": "UTC, to the microsecond"}
_MAYBE_TIME: dict[str, Any] = {"type": ["string", "null"], "description": "UTC, to the microsecond"}


def history_definitions() -> dict[str, Any]:
    """The definitions, by name; "history" and "history_moment" are whole pages."""
    page, an_object, a_list = parts.page, parts.an_object, parts.a_list
    return {
        "history": page("history", server=_TEXT, since=_TIME, until=_TIME, max_connections=_MAYBE_COUNT,
                        opened=_MAYBE_COUNT, holders=a_list("past_holder"), not_seen=a_list("past_gap"),
                        refusals=a_list("past_refusal"), holder=_MAYBE_TEXT, sessions=a_list("past_session")),
        "history_moment": page("history_moment", server=_TEXT, at=_TIME, seen=_BOOL, rung=_MAYBE_TEXT,
                               looked_until=_MAYBE_TIME, looked_from=_MAYBE_TIME, taken=_MAYBE_COUNT,
                               max_connections=_MAYBE_COUNT, ordinary=_MAYBE_COUNT, limits=a_list("past_limit"),
                               sessions=a_list("past_session")),
        "past_limit": an_object(kind=_TEXT, name=_TEXT, used=_COUNT, limit=_COUNT),
        "past_holder": an_object(name=_MAYBE_TEXT, title=_TEXT, most=_COUNT, at=_TIME, least=_COUNT,
                                 mean={"type": "number"}, now=_COUNT, came=_COUNT, went=_COUNT),
        "past_gap": an_object(since=_TIME, until=_TIME),
        "past_refusal": an_object(since=_TIME, until=_TIME, count=_COUNT, source=_TEXT, sqlstate=_MAYBE_TEXT,
                                  by=_MAYBE_TEXT, ceiling=_MAYBE_TEXT, words=_TEXT),
        "past_session": an_object(pid={"type": "integer"}, backend_start=_MAYBE_TIME, holder=_TEXT, first_seen=_TIME,
                                  gone=_MAYBE_TIME, user=_MAYBE_TEXT, database=_MAYBE_TEXT,
                                  application_name=_MAYBE_TEXT, client=_MAYBE_TEXT, port=_MAYBE_COUNT,
                                  process=_MAYBE_COUNT, state=_MAYBE_TEXT, state_since=_MAYBE_TIME,
                                  chain=a_list("past_link")),
        "past_link": an_object(kind=_TEXT, subject=_TEXT, certainty=_TEXT, evidence=_TEXT),
    }  # fmt: skip
