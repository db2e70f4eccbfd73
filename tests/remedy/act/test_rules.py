"""The cap, and the stop when too much is refused."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pgusher.model.findings import Safety
from pgusher.model.plan import Lever, OutcomeKind, RoleSetting, SessionIdentity, Step
from pgusher.remedy.act import Context, Log, act
from pgusher.remedy.act.result import Result
from pgusher.remedy.act.rules import Brake, weight
from tests.bed.bed import Bed
from tests.remedy.act.victims import connection, plan_of, victim_sessions

REFUSED, GONE = Result(OutcomeKind.REFUSED, "x"), Result(OutcomeKind.GONE, "x")
RESULTS = {"r": REFUSED, "g": GONE, "f": Result(OutcomeKind.FAILED, "x"), ".": None}


def step(number: int, sessions: int = 1) -> Step:
    identities = tuple(SessionIdentity(pid, 1, "idle", 1) for pid in range(sessions))
    return Step(number, Lever.TERMINATE, "", Safety.SAFE, sessions=identities)


def played(letters: str, most: int | None = None) -> str:
    """What becomes of steps of which this is found; "s" is one that was skipped."""
    brake = Brake(most)
    seen = ""
    for number, letter in enumerate(letters, 1):
        if brake.skip(step(number)) is not None:
            seen += "s"
            continue
        brake.tried(step(number), RESULTS[letter])
        seen += letter
    return seen


@pytest.mark.parametrize(
    ("letters", "seen"),
    [
        ("........", "........"),
        ("rrrrr...", "rrrrrsss"),
        ("rrrr.rrrr.", "rrrr.rrrr."),
        ("rrrr.rrrr.r.", "rrrr.rrrr.ss"),  # 8 of 10
        ("ggggggggg.", "ggggggggg."),
        ("rrgrrgr.", "rrgrrgrs"),  # what is gone already is no sign of health
        (".r.r.r.r.r.r.r.r", ".r.r.r.r.r.r.r.r"),
        ("ffffff.", "ffffff."),
    ],
)
def test_it_stops_when_too_much_is_refused(letters: str, seen: str) -> None:
    assert played(letters) == seen


def test_a_cap_is_on_sessions_and_what_is_gone_does_not_count() -> None:
    assert played("..g...", most=3) == "..g.ss"
    brake = Brake(5)
    assert brake.skip(step(1, 6)) is not None
    assert brake.skip(step(1, 5)) is None
    setting = Step(1, Lever.LIMIT, "", Safety.SAFE, settings=(RoleSetting("r", "CONNECTION LIMIT", "-1", "1"),))
    assert weight(setting) == 0


@given(st.text("rg.f", max_size=60), st.integers(0, 20))
def test_never_more_than_the_cap_and_never_on_after_a_stop(letters: str, most: int) -> None:
    seen = played(letters, most)
    assert seen.count(".") + seen.count("f") <= most
    stopped = seen.find("rrrrr")
    assert stopped < 0 or set(seen[stopped + 5 :]) <= {"s"}


def test_the_rest_of_a_plan_that_no_longer_fits_is_left_alone(bed: Bed, tmp_path: Path) -> None:
    with victim_sessions(bed, 7) as victims, connection(bed) as sql:
        plan = plan_of(bed, [victims.step(number, Lever.TERMINATE) for number in range(7)])
        for one in victims.connections[:5]:
            one.execute("select 1")
        outcomes = act(plan, plan.steps, Context(Log(str(tmp_path / "log")), sql))
        assert [one.kind for one in outcomes] == ["refused"] * 5 + ["skipped"] * 2
        assert outcomes[6].text == "5 steps before it were refused in a row"
        assert victims.alive() == [True] * 7


def test_a_cap_holds(bed: Bed, tmp_path: Path) -> None:
    with victim_sessions(bed, 4) as victims, connection(bed) as sql:
        plan = plan_of(bed, [victims.step(number, Lever.TERMINATE) for number in range(4)])
        outcomes = act(plan, plan.steps, Context(Log(str(tmp_path / "log")), sql, most=3))
        assert [one.kind for one in outcomes] == ["done"] * 3 + ["skipped"]
        assert outcomes[3].text == "it would be over the cap of 3"
        assert victims.alive() == [False] * 3 + [True]
