"""Snapshots of any shape, for property tests: consistent with the model's types and with nothing else."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from pgusher.model.address import ClientAddress, Transport
from pgusher.model.evidence import Certainty, Gap
from pgusher.model.facts import Facts
from pgusher.model.holder import Chain, ChainEnd, Holder, HolderKind, Link, LinkKind
from pgusher.model.process import Host
from pgusher.model.server import Ceilings, Limit, Rung, Server, View
from pgusher.model.session import SeenBy, Session
from pgusher.model.snapshot import Snapshot

texts = st.one_of(st.text(max_size=12), st.sampled_from(["app", "x" * 300, "\x1b[2J", "中" * 50, "a\nb", "\udc80", ""]))
pids = st.integers(1, 40)
micros = st.one_of(st.integers(1_700_000_000_000_000, 1_800_000_000_000_000), st.integers())
counts = st.integers(0, 60)
states = st.sampled_from(["idle", "active", "idle in transaction", "authenticating", "disabled", "odd\x07", None])


def maybe(strategy: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.one_of(st.none(), strategy)


addresses = st.builds(ClientAddress, st.sampled_from(Transport), maybe(texts), maybe(st.integers(-1, 65535)))
gaps = st.builds(Gap, texts, texts, texts, texts, counts)
links = st.builds(Link, st.sampled_from(LinkKind), texts, st.sampled_from(Certainty), texts, maybe(pids))
limits = st.builds(Limit, texts, st.integers(0, 30), counts)
ceilings = st.builds(
    Ceilings,
    st.one_of(st.integers(0, 60), st.sampled_from([250, 999, 5000, 262143])),
    st.integers(0, 5),
    st.integers(0, 5),
    st.lists(limits, max_size=3).map(tuple),
    st.lists(limits, max_size=3).map(tuple),
    st.sampled_from(Certainty),
    texts,
)
views = st.builds(
    View,
    st.sampled_from(Rung),
    role=maybe(texts),
    superuser=maybe(st.booleans()),
    refuses=maybe(texts),
    refuses_all=st.booleans(),
)
servers = st.builds(
    Server,
    st.integers(1, 65535),
    maybe(texts),
    st.booleans(),
    maybe(texts),
    started=maybe(micros),
    cluster_name=maybe(texts),
)
hosts = st.builds(Host, texts, uid=st.integers(0, 2000), user=maybe(texts))


@st.composite
def sessions(draw: st.DrawFn, pid: int) -> Session:
    return Session(
        pid,
        backend_start=draw(maybe(micros)),
        backend_type=draw(st.sampled_from(["client backend", "authenticating", "walsender", "odd"])),
        user=draw(maybe(texts)),
        database=draw(maybe(texts)),
        application_name=draw(maybe(texts)),
        client=draw(addresses),
        state=draw(states),
        state_change=draw(maybe(micros)),
        wait_event_type=draw(maybe(texts)),
        wait_event=draw(maybe(texts)),
        query=draw(maybe(texts)),
        blocked_by=tuple(draw(st.lists(pids, max_size=2))),
        superuser=draw(maybe(st.booleans())),
        seen_by=draw(st.sampled_from(SeenBy)),
        own=draw(st.booleans()),
    )


@st.composite
def snapshots(draw: st.DrawFn) -> Snapshot:
    """Some sessions, shared out over some holders; a session may have no holder, and a holder no session."""
    names = draw(st.lists(texts, max_size=6, unique=True))
    numbers = draw(st.lists(pids, max_size=12, unique=True))
    found = tuple(draw(sessions(pid)) for pid in numbers)
    owners = {pid: draw(st.sampled_from(names)) if names else "" for pid in numbers}
    chains = tuple(
        Chain(
            pid,
            session.backend_start,
            draw(st.sampled_from(ChainEnd)),
            owners[pid],
            tuple(draw(st.lists(links, max_size=3))),
            tuple(draw(st.lists(texts, max_size=1))),
        )
        for pid, session in zip(numbers, found, strict=True)
    )
    holders = tuple(
        Holder(
            name,
            draw(st.sampled_from(HolderKind)),
            draw(texts),
            tuple(session.pid for session in found if session.takes_slot and owners[session.pid] == name),
            tuple(draw(st.lists(pids, max_size=3))),
            draw(st.integers(0, 5)),
            draw(maybe(texts)),
            draw(maybe(texts)),
            draw(maybe(texts)),
            draw(maybe(micros)),
            draw(st.sampled_from(Certainty)),
        )
        for name in names
    )
    facts = Facts(
        draw(micros),
        draw(hosts),
        draw(servers),
        draw(views),
        draw(maybe(ceilings)),
        found,
        gaps=tuple(draw(st.lists(gaps, max_size=4))),
    )
    return Snapshot(facts, chains, holders)
