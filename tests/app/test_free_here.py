"""Which pgusher this is, and whether the server and the host are still those of the plan."""

from __future__ import annotations

import os

import pytest

from pgusher.app import free_here as here
from pgusher.app.request import Request
from pgusher.errors import RefusedError
from pgusher.model.plan import ProcessIdentity, Reach, ServerIdentity
from pgusher.model.values import replace
from tests.remedy.planning import STUCK, look, plan

POSTMASTER = ProcessIdentity(700, 99, "boot")
SERVER = ServerIdentity(5432, local=True, started=7, postmaster=POSTMASTER)


def test_the_family_is_this_process_and_all_above_it() -> None:
    family = here.own_family()
    assert family[:2] == (os.getpid(), os.getppid())
    assert len(set(family)) == len(family)


@pytest.mark.parametrize(
    ("now", "same"),
    [
        (SERVER, True),
        (replace(SERVER, started=8), False),
        (replace(SERVER, postmaster=replace(POSTMASTER, start_ticks=100)), False),
        (replace(SERVER, postmaster=replace(POSTMASTER, boot_id="next")), False),
        (replace(SERVER, port=5433), False),
        (replace(SERVER, started=None), True),
        (replace(SERVER, postmaster=None), True),
        (replace(SERVER, postmaster=None, started=None), None),
    ],
)
def test_a_server_is_the_same_only_when_something_says_so(now: ServerIdentity, same: bool | None) -> None:
    assert here.is_same(SERVER, now) is same


def test_a_plan_from_before_a_reboot_is_refused() -> None:
    snapshot, _ = look(STUCK)
    made = plan(STUCK)
    here.check_place(made, snapshot)
    host = replace(snapshot.facts.host, boot_id="another")
    with pytest.raises(RefusedError, match="before this one was booted"):
        here.check_place(made, replace(snapshot, facts=replace(snapshot.facts, host=host)))


def test_a_plan_of_another_container_is_refused() -> None:
    snapshot, _ = look(STUCK)
    made = plan(STUCK)
    (step,) = made.steps
    assert step.process is not None
    foreign = replace(made, steps=(replace(step, process=replace(step.process, pid_namespace=1)),))
    with pytest.raises(RefusedError, match="another container"):
        here.check_place(foreign, snapshot)


@pytest.mark.parametrize(
    "dsn", ["postgresql://app:s3cret@h/db", "host=h password=s3cret", "postgresql://h/db?password=s3cret"]
)
def test_a_password_is_not_kept_and_has_to_be_given_again(dsn: str) -> None:
    reach = here.reach_of(Request(dsn=dsn))
    assert reach.dsn is None
    assert reach.secret
    assert "s3cret" not in repr(reach)
    made = replace(plan(STUCK), reach=reach)
    with pytest.raises(RefusedError, match="needs its connection string again"):
        here.request_again(made, Request())
    assert here.request_again(made, Request(dsn=dsn)).dsn == dsn


def test_the_server_is_reached_as_it_was() -> None:
    request = Request(host="/run/x", port=5433, user="monitor", database="app")
    made = replace(plan(STUCK), reach=here.reach_of(request))
    again = here.request_again(made, Request())
    assert (again.host, again.port, again.user, again.database) == ("/run/x", 5433, "monitor", "app")
    assert here.request_again(made, Request(user="boss")).user == "boss"


def test_one_that_was_found_by_itself_is_found_by_its_port(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("PGHOST", "PGHOSTADDR", "PGPORT", "PGSERVICE"):
        monkeypatch.delenv(name, raising=False)
    assert here.request_again(replace(plan(STUCK), reach=Reach()), Request()).port == 5432
