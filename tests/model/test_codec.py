"""Frozen values survive the way through JSON, and a broken file is told with its place."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pgusher.errors import SnapshotError
from pgusher.model import codec
from pgusher.model.address import ClientAddress, Transport
from pgusher.model.evidence import Certainty, Gap
from pgusher.model.facts import Facts
from pgusher.model.jobs import Container, CronEntry, CronKind, Unit
from pgusher.model.process import Host, Process
from pgusher.model.server import Attempt, Ceilings, Limit, Rung, Server, View
from pgusher.model.session import SeenBy, Session
from pgusher.model.sockets import ClientSocket, FdHolder, Sight

FULL = Facts(
    taken_at=1_790_000_000_123_456,
    host=Host("db1", boot_id="b", addresses=("127.0.0.1", "::1"), uid=0, netns=4026531840),
    server=Server(5432, local=True, version="18.6", socket_paths=("/tmp/.s.PGSQL.5432",), in_recovery=False),
    view=View(Rung.RESERVED, (Attempt("user=postgres", "connected"),), role="postgres", superuser=True, own_pid=9),
    ceilings=Ceilings(100, 3, 0, (Limit("web", 20, 20),), (), Certainty.LIKELY, "postgresql.conf"),
    sessions=(
        Session(
            7,
            1_790_000_000_000_001,
            client=ClientAddress(Transport.TCP, "127.0.0.1", 4242),
            state="idle",
            blocked_by=(1, 2),
            superuser=False,
            seen_by=SeenBy.TITLE,
        ),
    ),
    sockets=(ClientSocket(Transport.TCP, Sight.SHARED, "127.0.0.1", 4242, holders=(FdHolder(3, 4), FdHolder(5, 4))),),
    processes=(Process(3, 12, 1_789_999_999_000_000, 1, "python3", 0, argv=("python3", "x.py")),),
    cron=(CronEntry(CronKind.SYSTEM, "/etc/crontab", 4, "*/10 * * * *", "python3 x.py", user="root"),),
    units=(Unit("x.service", timers=("x.timer",)),),
    containers=(Container("docker", "ab" * 32),),
    gaps=(Gap("sockets", "the open files of 3 processes", "permission denied", "run pgusher as root", 3),),
)


def test_facts_survive_the_round_trip() -> None:
    assert codec.load(Facts, json.loads(json.dumps(codec.dump(FULL)))) == FULL


def test_defaults_are_left_out_of_the_file() -> None:
    assert codec.dump(Session(7)) == {"pid": 7}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda d: d["sessions"][0].update(pid="x"), "snapshot.sessions[0].pid: expected an integer, got 'x'"),
        (lambda d: d["sessions"][0].update(pid=True), "snapshot.sessions[0].pid: expected an integer, got True"),
        (lambda d: d["sessions"][0].pop("pid"), "snapshot.sessions[0]: the key 'pid' is missing"),
        (lambda d: d.update(sessions={}), "snapshot.sessions: expected a list, got an object"),
        (lambda d: d["view"].update(rung="sky"), "snapshot.view.rung: expected one of held connection"),
        (lambda d: d.update(seats=1), "snapshot: unknown key 'seats'"),
        (lambda d: d.update(host=None), "snapshot.host: expected an object, got None"),
    ],
)
def test_what_is_wrong_is_told_with_its_place(change, words) -> None:  # type: ignore[no-untyped-def]
    data = json.loads(json.dumps(codec.dump(FULL)))
    change(data)
    with pytest.raises(SnapshotError) as raised:
        codec.load(Facts, data)
    assert str(raised.value).startswith(words)


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
_KEYS = sorted(codec.dump(FULL))


@settings(max_examples=1000)
@given(st.dictionaries(st.sampled_from(_KEYS), _JSON))
def test_any_json_loads_or_is_refused_with_one_message(extra: dict[str, object]) -> None:
    data = codec.dump(FULL) | extra
    try:
        facts = codec.load(Facts, data)
    except SnapshotError as error:
        place = str(error)
    else:
        assert codec.load(Facts, codec.dump(facts)) == facts
        place = "snapshot"
    assert place.startswith("snapshot")


def test_deep_nesting_is_refused_and_does_not_overflow() -> None:
    data: object = 1
    for _ in range(50_000):
        data = [data]
    with pytest.raises(SnapshotError):
        codec.load(Facts, {**codec.dump(FULL), "sessions": data})
