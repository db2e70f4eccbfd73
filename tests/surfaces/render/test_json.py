"""The JSON form, held against its own schema by the jsonschema package."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from jsonschema import Draft202012Validator

from pgusher.model.snapshot import Snapshot
from pgusher.surfaces.render.advice import Command
from pgusher.surfaces.render.asjson import doctor_json, error_json, state_json, who_json
from pgusher.surfaces.render.find import find
from pgusher.surfaces.render.schema import json_schema
from tests.surfaces import worlds
from tests.surfaces.fakes import CHECKS
from tests.surfaces.random_worlds import snapshots

VALIDATOR = Draft202012Validator(json_schema())
WORLDS = [
    worlds.incident(),
    worlds.half_blind(),
    worlds.quiet(limits=True),
    worlds.hostile(),
    worlds.incident(ceilings=None),
]


def through(value: dict[str, Any]) -> Any:
    """As a program gets it: written, read, and held against the schema."""
    text = json.dumps(value)
    assert text.isascii()
    back = json.loads(text)
    VALIDATOR.validate(back)
    return back


def test_the_schema_is_one() -> None:
    Draft202012Validator.check_schema(json_schema())


@pytest.mark.parametrize("snapshot", WORLDS)
def test_the_state(snapshot: Snapshot) -> None:
    back = through(state_json([snapshot], snapshot.facts.gaps, 12.0, [Command("a", "b")]))
    (server,) = back["servers"]
    assert server["taken"] == snapshot.taken
    assert sum(holder["slots"] for holder in server["holders"]) == snapshot.taken
    assert all(sum(holder["states"].values()) == holder["slots"] for holder in server["holders"])


def test_the_incident_in_figures() -> None:
    (server,) = through(state_json([worlds.incident()], (), 1.0))["servers"]
    assert (server["status"], server["finding"], server["max_connections"]) == ("full", True, 100)
    assert server["ordinary"] == {"taken": 97, "limit": 97}
    assert server["superuser"] == {"taken": 3, "limit": 3}
    assert server["reserved"] is None
    assert server["taken_at"] == "2026-01-24T03:12:00.123456Z"
    job = server["holders"][2]
    assert (job["name"], job["runs"], job["oldest_seconds"]) == ("cron/version_history", 4, 23 * 86400)
    assert job["states"] == {"idle": 8, "active": 0, "in transaction": 0, "other": 0}


def test_limits_that_could_not_be_asked_for_are_null_not_empty() -> None:
    (server,) = through(state_json([worlds.half_blind()], (), 1.0))["servers"]
    assert (server["roles"], server["databases"]) == (None, None)
    (server,) = through(state_json([worlds.incident()], (), 1.0))["servers"]
    assert (server["roles"], server["databases"]) == ([], [])


@pytest.mark.parametrize("snapshot", WORLDS)
def test_who(snapshot: Snapshot) -> None:
    back = through(who_json(find([snapshot], None).matches, (), None))
    (match,) = back["matches"]
    assert [session["pid"] for session in match["sessions"]] == [session.pid for session in snapshot.facts.sessions]


def test_a_chain_says_how_it_is_known() -> None:
    (match,) = through(who_json(find([worlds.incident()], "20162").matches, (), "20162"))["matches"]
    (session,) = match["sessions"]
    assert session["chain"]["certainty"] == "proven"
    assert [link["kind"] for link in session["chain"]["links"]] == ["socket", "process", "parent", "cron"]
    assert session["chain"]["links"][1]["pid"] == 4711


def test_doctor_and_errors() -> None:
    assert [check["sight"] for check in through(doctor_json(CHECKS))["checks"]] == ["sees", "sees", "partly", "blind"]
    assert through(error_json("m", None, "h", 3))["exit"] == 3


def test_what_is_not_of_the_schema_is_refused() -> None:
    good = state_json([worlds.quiet()], (), 1.0)
    for broken in (
        {**good, "schema": 2},
        {**good, "kind": "other"},
        {key: value for key, value in good.items() if key != "gaps"},
        {**good, "servers": [{**good["servers"][0], "status": "fine"}]},
    ):
        assert not VALIDATOR.is_valid(broken)


@given(snapshots())
def test_any_snapshot_gives_valid_json(snapshot: Snapshot) -> None:
    through(state_json([snapshot], snapshot.facts.gaps, 1.0))
    through(who_json(find([snapshot], None).matches, (), None))
