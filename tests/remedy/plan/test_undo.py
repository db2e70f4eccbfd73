"""How what was ended comes back, by the way that starts it: as attribution names units and containers."""

from __future__ import annotations

import pytest

from pgusher.attribute.rooting import container_root, unit_root
from pgusher.attribute.roots import Root
from pgusher.model.holder import Holder
from pgusher.model.jobs import Container, Unit
from pgusher.model.values import replace
from pgusher.remedy.plan.scene import Scene
from pgusher.remedy.plan.undo import process_undo
from tests.remedy.planning import STUCK, look, plan

KUBERNETES = "Kubernetes starts it again by itself, unless its restartPolicy is Never:"


def undo(root: Root, *units: Unit) -> tuple[str, ...]:
    """What is said of a process that such a holder has."""
    snapshot, diagnosis = look(STUCK)
    facts = replace(snapshot.facts, units=units)
    scene = Scene(replace(snapshot, facts=facts), diagnosis)
    process = next(one for one in facts.processes if "version_history.py" in one.argv)
    return process_undo(scene, Holder(root.base, root.kind, root.title, (), stop=root.stop), process, ())


@pytest.mark.parametrize(
    ("container", "line"),
    [
        (Container("docker", "f0" * 32, "web-1"), "docker start web-1, unless its restart policy has done so"),
        (Container("podman", "f0" * 32), "podman start f0f0f0f0f0f0, unless its restart policy has done so"),
        (Container("containerd", "f0" * 32, "api"), "nerdctl start api, unless its restart policy has done so"),
        (Container("lxc", "box"), "lxc-start -n box, or lxc start box"),
        (
            Container("containerd", "f0" * 32, "app", pod="orders-7f9", namespace="shop"),
            f"{KUBERNETES} container orders-7f9:app (containerd f0f0f0f0f0f0)",
        ),
        (
            Container("cri-o", "f0" * 32),
            f"{KUBERNETES} container f0f0f0f0f0f0 (cri-o f0f0f0f0f0f0)",
        ),
        (Container("garden", "f0" * 32), "its runtime starts it: container f0f0f0f0f0f0 (garden f0f0f0f0f0f0)"),
    ],
)
def test_a_container_is_started_by_its_runtime_and_its_command_never_on_the_host(
    container: Container, line: str
) -> None:
    assert undo(container_root(container)) == (line,)


@pytest.mark.parametrize(
    ("unit", "line"),
    [
        (Unit("orders-api.service"), "systemctl start orders-api.service"),
        (Unit("sync.service", timers=("sync.timer",)), "systemctl start sync.service"),
        (Unit("sync.service", user_unit=True, owner_uid=1000), "systemctl --user --machine=1000@ start sync.service"),
    ],
)
def test_a_unit_is_started_by_its_manager(unit: Unit, line: str) -> None:
    assert undo(unit_root(unit, None), unit) == (line,)


def test_a_unit_that_was_made_at_run_time_cannot_be_started_again_but_its_command_can() -> None:
    unit = Unit("run-r1.service", transient=True)
    (line,) = undo(unit_root(unit, None), unit)
    assert "systemctl" not in line
    assert line.endswith("version_history.py")


def test_a_job_of_the_boot_comes_back_at_the_next_one() -> None:
    (step,) = plan(STUCK.replace("*/10 * * * * root", "@reboot root")).steps
    assert step.undo[0].startswith("cron starts it again at the next boot: /etc/cron.d/jobs:3")
    (step,) = plan(STUCK).steps
    assert step.undo[0].startswith("cron starts it again at its time: /etc/cron.d/jobs:3")
