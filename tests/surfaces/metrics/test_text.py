from __future__ import annotations

import shutil
import subprocess

import pytest

from pgusher.model.evidence import Certainty
from pgusher.model.findings import Diagnosis, Finding, Severity
from pgusher.model.snapshot import Snapshot
from pgusher.surfaces.metrics.text import MOST_HOLDERS, exposition, names, refusal_samples, snapshot_samples
from tests.surfaces import worlds

FOUND = Diagnosis((Finding("stuck-job", Severity.CRITICAL, Certainty.PROVEN, "cron/x", "it hangs"),))


def values(text: str, name: str) -> dict[str, float]:
    lines = (line for line in text.splitlines() if line.startswith((name + "{", name + " ")))
    return {line.rpartition(" ")[0]: float(line.rpartition(" ")[2]) for line in lines}


@pytest.mark.parametrize("world", [worlds.incident(), worlds.quiet(), worlds.crowd(1000, 300), worlds.hostile()])
def test_slots_by_state_sum_to_all_there_are(world: Snapshot) -> None:
    text = exposition(snapshot_samples(world, FOUND))
    assert sum(values(text, "pgusher_slots").values()) == sum(values(text, "pgusher_slots_max").values())
    assert sum(values(text, "pgusher_holder_slots").values()) == world.taken
    assert len(values(text, "pgusher_holder_slots")) <= MOST_HOLDERS + 1
    assert sum(values(text, "pgusher_view_rung").values()) == 1
    assert sum(values(text, "pgusher_findings").values()) == 1


def test_the_series_are_the_same_before_while_and_after_it_is_full() -> None:
    def series(snapshot: Snapshot) -> set[str]:
        lines = exposition(snapshot_samples(snapshot, Diagnosis())).splitlines()
        return {line.rpartition(" ")[0] for line in lines if "holder_slots" not in line}

    port = worlds.incident().facts.server.port
    assert series(worlds.incident()) == series(worlds.quiet(port=port))


def test_a_log_has_a_series_for_each_ceiling_from_the_first_look_on_and_no_log_has_none() -> None:
    """A series that begins with 3 has not grown, for Prometheus."""
    assert refusal_samples("port 5432", None) == []
    zeros = values(exposition(refusal_samples("port 5432", {})), "pgusher_logged_refusals_total")
    assert set(zeros.values()) == {0.0}
    counted = exposition(refusal_samples("port 5432", {"role limit": 3, None: 2}))
    found = values(counted, "pgusher_logged_refusals_total")
    assert found.keys() == zeros.keys()
    assert found['pgusher_logged_refusals_total{server="5432",ceiling="role_limit"}'] == 3
    assert found['pgusher_logged_refusals_total{server="5432",ceiling="unknown"}'] == 2
    assert sum(found.values()) == 5


def test_a_hostile_name_stays_a_label() -> None:
    text = exposition(snapshot_samples(worlds.hostile(), FOUND))
    for line in text.splitlines():
        assert line.startswith(("#", "pgusher_"))
        assert line.isprintable()
    assert {line.split("{")[0].split(" ")[0] for line in text.splitlines() if not line.startswith("#")} <= set(names())


@pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool is not installed (Debian: prometheus)")
@pytest.mark.parametrize("world", [worlds.incident(), worlds.hostile(), worlds.crowd(1000, 300)])
def test_promtool_finds_nothing_to_say(world: Snapshot) -> None:
    text = exposition(snapshot_samples(world, FOUND, to_full=12.5))
    done = subprocess.run(["promtool", "check", "metrics"], input=text, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
