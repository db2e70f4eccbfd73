from __future__ import annotations

import json

import pytest

from pgusher.errors import SnapshotError
from pgusher.model.codec import dump, load
from pgusher.model.evidence import Certainty, Gap
from pgusher.model.findings import Diagnosis, Evidence, Finding, Remedy, Safety, Severity, Skipped


def finding(rule: str = "stuck-job", severity: Severity = Severity.WARNING, **more: object) -> Finding:
    values: dict[str, object] = {"certainty": Certainty.PROVEN, "key": "cron/a", "message": "cron job a hangs"}
    return Finding(rule, severity, **{**values, **more})  # type: ignore[arg-type]


def test_a_diagnosis_goes_through_json_and_back() -> None:
    one = finding(
        detail=("two runs",),
        evidence=(Evidence("the kernel says so"), Evidence("a name", Certainty.GUESSED)),
        remedies=(Remedy("end the run", Safety.UNSAFE, "kill 4711", "its work"),),
        holder="cron/a",
        sessions=(1, 2),
        processes=(4711,),
        slots=2,
        since=5,
        file="/opt/a.py",
        line=57,
        thread="MainThread",
    )
    skipped = Skipped("dead-thread", "stacks", Gap("stacks", "stacks", "permission denied", "run pgusher as root"))
    diagnosis = Diagnosis((one,), (skipped,), ("no-idle-timeout:server",), ("stuck-job",))
    assert load(Diagnosis, json.loads(json.dumps(dump(diagnosis)))) == diagnosis


def test_a_wrong_severity_is_told_with_its_place() -> None:
    data = dump(Diagnosis((finding(),)))
    data["findings"][0]["severity"] = "awful"
    with pytest.raises(SnapshotError, match=r"findings\[0\]\.severity: expected one of critical, warning, note"):
        load(Diagnosis, data)


def test_the_worst_comes_first_and_a_cause_before_its_symptom() -> None:
    stuck = finding("stuck-job", Severity.CRITICAL, slots=9)
    guessed = finding("idle-pool-oversized", Severity.CRITICAL, slots=60, certainty=Certainty.LIKELY)
    note = finding("no-idle-timeout", Severity.NOTE)
    later, sooner = finding(since=9, slots=1), finding(since=3, slots=1)
    shared = finding("fork-shared-socket")
    full = finding("slots-exhausted", Severity.CRITICAL, symptom=True, slots=97)
    found = sorted([note, shared, later, full, guessed, sooner, stuck], key=lambda one: one.order)
    assert found == [stuck, guessed, full, sooner, later, shared, note]
    diagnosis = Diagnosis(tuple(found))
    assert diagnosis.cause == stuck
    assert diagnosis.worst is Severity.CRITICAL
    assert stuck.id == "stuck-job:cron/a"


def test_a_healthy_server_has_no_cause() -> None:
    assert Diagnosis().cause is None
    assert Diagnosis().worst is None
    assert Diagnosis((finding(symptom=True),)).cause is None
