"""No snapshot, however strange, makes a rule raise, and what is found keeps its form."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from pgusher.diagnose.engine import BROKEN, diagnose
from pgusher.model.address import Transport
from pgusher.model.codec import dump, load
from pgusher.model.evidence import Certainty
from pgusher.model.findings import Diagnosis, Evidence
from pgusher.model.grafana import DataSource, Figure, Grafana, Limits, OwnDatabase, Seen
from pgusher.model.jobs import CronEntry, CronKind
from pgusher.model.pools import PoolLimit
from pgusher.model.process import Process
from pgusher.model.server import Setting
from pgusher.model.snapshot import Snapshot
from pgusher.model.sockets import ClientSocket, FdHolder, Sight
from pgusher.model.stacks import Hang, Raised
from pgusher.model.values import replace
from tests.surfaces.random_worlds import maybe, micros, pids, snapshots, texts

certainties = st.sampled_from(Certainty)
schedules = st.one_of(texts, st.sampled_from(["* * * * *", "*/10 * * * *", "0 3 * * *", "@daily", "@reboot"]))
entries = st.builds(CronEntry, st.sampled_from(CronKind), texts, st.integers(0, 9), schedules, texts)
processes = st.builds(Process, pids, st.integers(0, 9), micros, st.integers(0, 40), texts, st.integers(0, 9))
sockets = st.builds(
    ClientSocket,
    st.sampled_from(Transport),
    st.sampled_from(Sight),
    maybe(texts),
    maybe(st.integers(0, 65535)),
    maybe(pids),
    active_at=maybe(micros),
    holders=st.lists(st.builds(FdHolder, pids, st.integers(0, 9)), max_size=3).map(tuple),
)
server_settings = st.builds(
    Setting, st.sampled_from(["idle_session_timeout", "x"]), st.one_of(texts, st.just("0")), maybe(texts)
)
raised = st.builds(Raised, texts, st.integers(0, 99), certainties, texts, texts, maybe(texts))
hangs = st.builds(
    Hang,
    pids,
    st.integers(0, 9),
    st.sampled_from(["unknown", "queue-join-no-worker", "odd"]),
    certainties,
    texts,
    thread=maybe(texts),
    file=maybe(texts),
    line=maybe(st.integers(0, 99)),
    waits_in=maybe(texts),
    missing=maybe(texts),
    raised=maybe(raised),
    still=maybe(st.booleans()),
    still_certainty=certainties,
    evidence=st.lists(st.builds(Evidence, texts, certainties), max_size=2).map(tuple),
    since=maybe(micros),
    sessions=st.lists(pids, max_size=2).map(tuple),
)
figures = st.builds(Figure, st.none() | st.integers(0, 999), texts, st.booleans(), st.sampled_from(Certainty))
sources = st.builds(
    DataSource, texts, texts, st.integers(1, 3), st.just("postgres"), st.none() | texts | st.just("localhost"),
    st.just(5432), texts, texts, st.builds(Limits, figures, figures, figures, figures, texts), st.none() | texts,
)  # fmt: skip
owns = st.builds(OwnDatabase, texts, st.just(5432), texts, texts, figures, figures, figures)
grafanas = st.builds(
    Grafana, texts, texts, st.sampled_from(Seen), st.lists(sources, max_size=3).map(tuple), st.integers(1, 3), texts,
    st.lists(pids, max_size=2).map(tuple), st.none() | owns,
)  # fmt: skip
pools = st.builds(PoolLimit, pids, texts, texts, st.integers(0, 999), texts, st.integers(0, 9), texts)
programs = st.sampled_from(["Grafana", "PgBouncer", "postgres_exporter", "psql", None])


@st.composite
def whole(draw: st.DrawFn) -> Snapshot:
    """A snapshot with all that rules look at."""
    snapshot = draw(snapshots())
    facts = snapshot.facts
    more: dict[str, Any] = {
        "cron": tuple(draw(st.lists(entries, max_size=3))),
        "processes": tuple(draw(st.lists(processes, max_size=4))),
        "sockets": tuple(draw(st.lists(sockets, max_size=4))),
        "settings": tuple(draw(st.lists(server_settings, max_size=2))),
        "pools": tuple(draw(st.lists(pools, max_size=2))),
        "grafana": tuple(draw(st.lists(grafanas, max_size=2))),
        "server": replace(facts.server, opened=draw(maybe(st.integers(0, 10**6)))),
        "sessions": tuple(
            replace(session, query_start=draw(maybe(micros)), xact_start=draw(maybe(micros)))
            for session in facts.sessions
        ),
    }
    holders = tuple(replace(holder, program=draw(programs)) for holder in snapshot.holders)
    return replace(snapshot, facts=replace(facts, **more), holders=holders)


@settings(max_examples=150)
@given(whole(), st.lists(hangs, max_size=3), maybe(whole()))
def test_no_rule_raises(snapshot: Snapshot, found: list[Hang], earlier: Snapshot | None) -> None:
    diagnosis = diagnose(snapshot, hangs=found, earlier=earlier, strict=True)
    assert [finding for finding in diagnosis.findings if finding.rule == BROKEN] == []
    for finding in diagnosis.findings:
        assert finding.message  # with names as they are: what is in them is made harmless when it is shown
        assert finding.evidence
        assert finding.remedies
        assert finding.slots >= 0
    assert [f.order for f in diagnosis.findings] == sorted(f.order for f in diagnosis.findings)
    # The names of roles are unique on a server, not here.
    told = [finding.id for finding in diagnosis.findings if finding.rule != "role-limit-reached"]
    assert len(set(told)) == len(told)
    assert load(Diagnosis, dump(diagnosis)) == diagnosis
