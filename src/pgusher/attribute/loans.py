"""The last link of a chain: which thread and line has borrowed the session, where the process keeps book of it."""

from __future__ import annotations

from collections.abc import Iterable

from pgusher.model.address import Micros
from pgusher.model.evidence import Certainty
from pgusher.model.facts import Facts
from pgusher.model.holder import Chain, Link, LinkKind
from pgusher.model.loans import Loan
from pgusher.model.values import replace

_BEFORE = 2_000_000
"""Microseconds by which a process may have entered a session before the server says that it began: clocks are read
apart, and may be set in between."""
_AFTER = 120_000_000
"""Microseconds within which a login is done."""


def with_loans(facts: Facts, chains: Iterable[Chain]) -> tuple[Chain, ...]:
    """The chains, each with the loan that its process tells of behind the link to that process.

    Proven: the kernel says that the process holds the session, and the process itself, which has lent it, says where.
    Only likely where the ledger's record may be of an earlier session with the same server process number.
    """
    told: dict[tuple[int, int], Loan] = {}
    for loan in facts.loans:
        told[loan.process, loan.backend_pid] = loan
    return tuple([_with_loan(chain, told) for chain in chains])


def _with_loan(chain: Chain, told: dict[tuple[int, int], Loan]) -> Chain:
    for index, link in enumerate(chain.links):
        if link.kind is LinkKind.PROCESS and link.pid is not None and (loan := told.get((link.pid, chain.pid))):
            links = (*chain.links[: index + 1], _link(loan, chain, link), *chain.links[index + 1 :])
            return replace(chain, links=links)
    return chain


def _link(loan: Loan, chain: Chain, process: Link) -> Link:
    certainty = Certainty.weakest(process.certainty, _certainty(loan, chain.backend_start))
    if not loan.lent:
        return Link(
            LinkKind.LOAN,
            "idle in its pool, lent to nobody",
            certainty,
            f"came back at {_iso(loan.since)}, says the ledger of pid {loan.process}",
            loan.process,
        )
    thread = f"thread {loan.thread or loan.thread_id or '?'}" + (f", task {loan.task}" if loan.task else "")
    line = f"{loan.file or '?'}:{loan.line or '?'}"
    return Link(
        LinkKind.LOAN,
        f"{thread} at {line}",
        certainty,
        f"lent since {_iso(loan.since)}, says the ledger of pid {loan.process}",
        loan.process,
    )


def _certainty(loan: Loan, began: Micros | None) -> Certainty:
    if began is None or not -_BEFORE <= loan.connected_at - began <= _AFTER:
        return Certainty.LIKELY
    return Certainty.PROVEN


def _iso(moment: Micros) -> str:
    from datetime import UTC, datetime  # late: most servers have no ledger beside them, and a cold command no time

    return datetime.fromtimestamp(moment // 1_000_000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
