"""Plans survive the way through a file, whole, and their parts have the order that the command relies on."""

from __future__ import annotations

import json

import pytest

from pgusher.errors import SnapshotError
from pgusher.model import codec
from pgusher.model.findings import Safety
from pgusher.model.plan import (
    Lever,
    Outcome,
    OutcomeKind,
    Plan,
    ProcessIdentity,
    Reach,
    RoleSetting,
    ServerIdentity,
    SessionIdentity,
    Slots,
    Spared,
    Step,
    Verdict,
)

NOW = 1_775_963_520_123_456
SESSION = SessionIdentity(50_001, NOW - 7, "idle", NOW - 3, "app", "shop", 4711)
PROCESS = ProcessIdentity(1001, 99, "boot", 4026531836, "python3 job.py", 0)
PLAN = Plan(
    id="k7f3",
    made_at=NOW,
    expires_at=NOW + 600_000_000,
    uid=0,
    server=ServerIdentity(5432, local=True, started=NOW - 10, postmaster=PROCESS, socket_paths=("/tmp/.s.PGSQL.5432",)),
    reach=Reach(host="/tmp", port=5432, secret=True),
    slots=Slots(97, 100, 97, 1),
    steps=(
        Step(1, Lever.TERMINATE, "terminate session 50001", Safety.SAFE, sessions=(SESSION,), slots=1),
        Step(
            2, Lever.END_PROCESS, "end process 1001", Safety.UNSAFE, "its work", "it hangs", "stuck-job:cron/job",
            holder="cron/job", sessions=(SESSION, SESSION), process=PROCESS, slots=2, undo=("/etc/crontab:3",),
        ),
        Step(3, Lever.LIMIT, "limit", Safety.SAFE, settings=(RoleSetting("app", "CONNECTION LIMIT", "-1", "20"),)),
    ),
    spared=(Spared("9 idle sessions", "their pool would open them again", sessions=(1, 2)),),
    holders=("cron/job",),
)  # fmt: skip


def test_a_plan_survives_the_way_through_a_file() -> None:
    assert codec.load(Plan, json.loads(json.dumps(codec.dump(PLAN))), "plan") == PLAN


@pytest.mark.parametrize(
    "value",
    [
        Outcome(1, OutcomeKind.REFUSED, "it is active now", NOW, "it is still there", "wait"),
        Verdict(False, "1 of 9 came back", 9, 0, 1, ("Its pool refills.",), "", "lower max_size"),
    ],
)
def test_what_came_of_it_survives_too(value: Outcome | Verdict) -> None:
    assert codec.load(type(value), json.loads(json.dumps(codec.dump(value))), "outcome") == value


@pytest.mark.parametrize(
    ("key", "wrong"),
    [("lever", "shoot"), ("number", "1"), ("safety", None), ("sessions", [{"pid": 1}]), ("process", {"pid": 1})],
)
def test_an_edited_step_is_told_with_its_place(key: str, wrong: object) -> None:
    data = codec.dump(PLAN)
    data["steps"][1][key] = wrong
    with pytest.raises(SnapshotError, match=rf"^plan\.steps\[1\]\.{key}"):
        codec.load(Plan, data, "plan")


def test_steps_are_told_apart_by_what_they_lose() -> None:
    assert [step.number for step in PLAN.safe] == [1, 3]
    assert [step.number for step in PLAN.unsafe] == [2]


def test_the_mildest_lever_has_the_lowest_rank() -> None:
    assert sorted(Lever, key=lambda lever: lever.rank) == list(Lever)
    assert Lever.DRAIN.rank < Lever.CANCEL.rank < Lever.TERMINATE.rank < Lever.END_PROCESS.rank
