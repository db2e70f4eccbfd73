"""Of each incident the true cause is first, nothing wrong is called proven, a healthy server is left in peace."""

from __future__ import annotations

import pytest

from pgusher.diagnose.engine import names
from tests.incidents import grafana, real, recorded, scripts, threads, worlds
from tests.incidents.incident import INNOCENT, Incident, judge

MANY = scripts.INCIDENTS
"""The scripts of tests/diagnose/hangs, all at once: on a busy machine one of fifty may just have been given the CPU."""
SICK = (*threads.INCIDENTS, *real.INCIDENTS, *worlds.INCIDENTS, *recorded.INCIDENTS, *grafana.INCIDENTS)
WELL = (*scripts.HEALTHY, *threads.HEALTHY, *real.HEALTHY, *worlds.HEALTHY, *recorded.HEALTHY, *grafana.HEALTHY)


def told(incident: Incident) -> str:
    return f"{'real' if incident.real else 'world'}-{incident.name}"


@pytest.mark.parametrize("incident", SICK, ids=told)
def test_the_true_cause_comes_first(incident: Incident) -> None:
    if incident.missing:
        pytest.skip(incident.missing)
    verdict = judge(incident)
    said = [(f.rule, f.severity.value, f.certainty.value, f.message) for f in verdict.diagnosis.findings]
    # Where nothing is said, the reason is in what could not be asked.
    assert verdict.right, (said, verdict.diagnosis.skipped)
    assert verdict.wrongly_proven == (), said


@pytest.mark.skipif(any(one.missing for one in MANY), reason=MANY[0].missing or "all there is")
def test_of_many_scripts_nine_in_ten_are_named_with_their_line_and_none_wrongly() -> None:
    verdicts = [judge(incident) for incident in MANY]
    wrong = [verdict.incident.name for verdict in verdicts if not verdict.right]
    assert len(wrong) <= 0.1 * len(MANY), wrong
    assert [verdict.wrongly_proven for verdict in verdicts if verdict.wrongly_proven] == []


@pytest.mark.parametrize("incident", WELL, ids=told)
def test_a_healthy_server_is_left_in_peace(incident: Incident) -> None:
    if incident.missing:
        pytest.skip(incident.missing)
    verdict = judge(incident)
    assert verdict.right, verdict.diagnosis.findings


def test_the_matrix_is_large_and_has_every_rule() -> None:
    assert len(SICK) >= 25
    assert len(WELL) >= 15
    assert len({incident.name for incident in (*SICK, *WELL)}) == len(SICK) + len(WELL)
    assert all(incident.about in (INNOCENT, "hang: unknown") and not incident.causes for incident in WELL)
    # Those that tell a state are symptoms of the others, and are held by the rules' own pages.
    states = {"slots-exhausted", "slots-running-out", "nameless-sessions"}
    meant = {rule for incident in SICK for rule in (incident.about, *incident.causes)}
    assert set(names()) - meant == states
