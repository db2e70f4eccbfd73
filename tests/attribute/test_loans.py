"""The loan that a process tells of, as the link behind that process."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pgusher.attribute import Attributor, attribute
from pgusher.model.evidence import Certainty
from pgusher.model.facts import Facts
from pgusher.model.holder import Link, LinkKind
from pgusher.model.loans import Loan
from pgusher.model.snapshot import Snapshot
from tests.attribute.builders import SECOND, World, chain_of, told


def world(**other: object) -> tuple[Facts, Loan]:
    made = World()
    process = made.process("python", "orders.py")
    session = made.holds(process)
    assert session.backend_start is not None
    loan = Loan(
        process.pid, session.pid, session.backend_start + SECOND // 20, True, session.backend_start + 60 * SECOND,
        "/srv/orders.py", 42, "worker-3", 77,
    )  # fmt: skip
    loan = replace(loan, **other)  # type: ignore[arg-type]
    return replace(made.facts(), loans=(loan,)), loan


def loan_link(snapshot: Snapshot) -> Link | None:
    (chain,) = snapshot.chains
    return next((link for link in chain.links if link.kind is LinkKind.LOAN), None)


def test_thread_and_line_are_proven_and_come_behind_the_process() -> None:
    facts, loan = world()
    snapshot = attribute(facts)
    (chain,) = snapshot.chains
    kinds = [link.kind for link in chain.links]
    assert kinds.index(LinkKind.LOAN) == kinds.index(LinkKind.PROCESS) + 1
    link = loan_link(snapshot)
    assert link is not None
    assert (link.subject, link.certainty) == ("thread worker-3 at /srv/orders.py:42", Certainty.PROVEN)
    assert link.evidence.endswith(f"Z, says the ledger of pid {loan.process}")
    assert chain.certainty is attribute(replace(facts, loans=())).chains[0].certainty


@pytest.mark.parametrize(
    ("other", "subject"),
    [
        ({"task": "fetch"}, "thread worker-3, task fetch at /srv/orders.py:42"),
        ({"thread": None}, "thread 77 at /srv/orders.py:42"),
        ({"file": None, "line": None, "thread": None, "thread_id": None}, "thread ? at ?:?"),
        ({"lent": False}, "idle in its pool, lent to nobody"),
    ],
)
def test_what_the_ledger_does_not_know_is_not_made_up(other: dict[str, object], subject: str) -> None:
    link = loan_link(attribute(world(**other)[0]))
    assert link is not None
    assert link.subject == subject


@pytest.mark.parametrize("seconds", [-3, 121])
def test_a_record_that_does_not_fit_the_sessions_start_is_only_likely(seconds: int) -> None:
    facts, _ = world()
    began = facts.sessions[0].backend_start
    assert began is not None
    link = loan_link(attribute(world(connected_at=began + seconds * SECOND)[0]))
    assert link is not None
    assert link.certainty is Certainty.LIKELY


def test_a_ledger_of_a_process_that_does_not_hold_the_session_names_nobody() -> None:
    facts, loan = world()
    assert loan_link(attribute(replace(facts, loans=(replace(loan, process=loan.process + 1),)))) is None
    assert loan_link(attribute(replace(facts, loans=(replace(loan, backend_pid=loan.backend_pid + 1),)))) is None


def test_look_after_look_it_is_the_loan_of_now() -> None:
    facts, loan = world()
    attributor = Attributor()
    for line in (42, 43):
        now = replace(facts, loans=(replace(loan, line=line),))
        assert f"orders.py:{line} [proven]" in told(chain_of(attributor.attribute(now), facts.sessions[0]))
    assert loan_link(attributor.attribute(replace(facts, loans=()))) is None
