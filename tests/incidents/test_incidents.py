"""Of each incident the true cause is first, nothing wrong is called proven, a healthy server is left in peace."""

from __future__ import annotations

import pytest

from pgusher.diagnose.engine import names
from tests.incidents import hangs, real, worlds
from tests.incidents.incident import INNOCENT, Incident, judge

SICK = (*hangs.INCIDENTS, *real.INCIDENTS, *worlds.INCIDENTS)
WELL = (*hangs.HEALTHY, *real.HEALTHY, *worlds.HEALTHY)


def told(incident: Incident) -> str:
    return f"{'real' if incident.real else 'world'}-{incident.name}"


@pytest.mark.parametrize("incident", SICK, ids=told)
def test_the_true_cause_comes_first(incident: Incident) -> None:
    if incident.missing:
        pytest.skip(incident.missing)
    verdict = judge(incident)
    said = [(f.rule, f.severity.value, f.certainty.value, f.message) for f in verdict.diagnosis.findings]
    assert verdict.right, said
    assert verdict.wrongly_proven == (), said


@pytest.mark.parametrize("incident", WELL, ids=told)
def test_a_healthy_server_is_left_in_peace(incident: Incident) -> None:
    if incident.missing:
        pytest.skip(incident.missing)
    verdict = judge(incident)
    assert verdict.diagnosis.findings == ()


def test_the_matrix_is_large_and_has_every_rule() -> None:
    assert len(SICK) >= 25
    assert len(WELL) >= 15
    assert len({incident.name for incident in (*SICK, *WELL)}) == len(SICK) + len(WELL)
    assert all(incident.about == INNOCENT and not incident.causes for incident in WELL)
    # Those that tell a state are symptoms of the others, and are held by the rules' own pages.
    states = {"slots-exhausted", "slots-running-out", "nameless-sessions"}
    meant = {rule for incident in SICK for rule in (incident.about, *incident.causes)}
    assert set(names()) - meant == states
