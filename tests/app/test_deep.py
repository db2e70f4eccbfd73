"""A look down to the threads: whose are looked at, how long that may take, and what is said of the others."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from pgusher.app.deep import MOST, DeepLooker, by_weight, with_stacks
from pgusher.app.look import Look
from pgusher.app.request import Request
from pgusher.model.evidence import Certainty, Gap
from pgusher.model.holder import Chain, ChainEnd, Holder, HolderKind, Link, LinkKind
from pgusher.model.process import Process
from pgusher.model.session import Session
from pgusher.model.snapshot import Snapshot
from pgusher.model.stacks import ProcessStacks, StackOrigin
from pgusher.model.values import replace
from tests.surfaces import worlds

NOW = worlds.NOW


def holder(name: str, kind: HolderKind, idle: int, *pids: int) -> tuple[Holder, tuple[Session, ...]]:
    """A holder of one session in each process, idle since so many seconds."""
    sessions = tuple(Session(10_000 + pid, NOW, state="idle", state_change=NOW - idle * worlds.SECOND) for pid in pids)
    return Holder(name, kind, name, tuple(s.pid for s in sessions), pids), sessions


def snapshot(*held: tuple[Holder, tuple[Session, ...]], local: bool = True) -> Snapshot:
    base = worlds.incident().facts
    pids = [pid for one, _ in held for pid in one.processes]
    processes = tuple(Process(pid, 1, NOW, 1, "python", 0) for pid in pids)
    sessions = tuple(session for _, its in held for session in its)
    facts = replace(base, sessions=sessions, processes=processes, server=replace(base.server, local=local))
    return Snapshot(facts, (), tuple(one for one, _ in held))


def stacks(pid: int, ppid: int = 1, asked: bool = True, gap: Gap | None = None) -> ProcessStacks:
    return ProcessStacks(pid, 1, NOW, StackOrigin.PY_SPY, ppid=ppid, asked=asked, gap=gap)


def test_who_holds_most_comes_first_and_each_holder_in_turn() -> None:
    seen = snapshot(
        holder("uvicorn/web", HolderKind.SERVICE, 900, 1, 2, 3),
        holder("cron/old", HolderKind.CRON, 500, 4, 5),
        holder("script/new", HolderKind.SCRIPT, 5, 6),
        holder("remote/x", HolderKind.REMOTE, 9000, 7),
        holder("pgusher", HolderKind.OWN, 9000, 8),
    )
    assert by_weight(seen) == [1, 4, 6, 2, 5, 3]


def test_of_two_alike_a_job_comes_first_then_the_longest_idle() -> None:
    seen = snapshot(
        holder("uvicorn/web", HolderKind.SERVICE, 900, 1),
        holder("cron/new", HolderKind.CRON, 5, 2),
        holder("cron/old", HolderKind.CRON, 500, 3),
    )
    assert by_weight(seen) == [3, 2, 1]


def test_of_one_holder_the_process_with_most_slots_comes_first() -> None:
    seen = snapshot(holder("uvicorn/web", HolderKind.SERVICE, 9, 1, 2, 3))
    links = {10_001: 1, 10_002: 3, 10_003: 3}
    chains = tuple(
        Chain(pid, NOW, ChainEnd.HOLDER, "uvicorn/web", (Link(LinkKind.PROCESS, "x", Certainty.PROVEN, "", client),))
        for pid, client in links.items()
    )
    assert by_weight(replace(seen, chains=chains)) == [3, 1, 2]


def test_nobody_is_looked_at_for_a_server_elsewhere() -> None:
    assert by_weight(snapshot(holder("remote/x", HolderKind.UNIT, 9, 7), local=False)) == []


class Source:
    """Takes the stacks of all, and remembers for whom it was asked and within what time."""

    def __init__(self) -> None:
        self.asked: list[tuple[list[int], float]] = []

    def take(self, pids: Iterable[int], deadline: float = 0.0) -> tuple[ProcessStacks, ...]:
        self.asked.append((list(pids), deadline))
        return tuple(stacks(pid) for pid in pids)


class Fixed:
    """A looker whose look is given and takes so many seconds."""

    def __init__(self, look: Look, clock: list[float], seconds: float) -> None:
        self._look, self._clock, self._seconds = look, clock, seconds

    def look(self) -> Look:
        self._clock[0] += self._seconds
        return self._look

    def close(self) -> None:
        self._clock[0] = -1.0


def deep(
    look: Look, source: Source, chosen: frozenset[int] | None = None, seconds: float = 0.3, sample: float = 1.0
) -> Look:
    clock = [100.0]
    looker = DeepLooker(
        Request(),
        lambda _: chosen,
        looker=Fixed(look, clock, seconds),  # type: ignore[arg-type]  # as good as a real one
        sample=sample,
        stacks=source,
        monotonic=lambda: clock[0],
    )
    found = looker.look()
    looker.close()
    assert clock == [-1.0]
    return found


@pytest.mark.parametrize(("seconds", "left"), [(0.2, 2.5), (0.7, 2.0), (2.5, 1.2), (9.0, 1.2)])
def test_stacks_get_what_the_look_has_left_of_the_time(seconds: float, left: float) -> None:
    source = Source()
    found = deep(Look((snapshot(holder("cron/a", HolderKind.CRON, 9, 4)),), 1.0), source, None, seconds)
    ((pids, deadline),) = source.asked
    assert (pids, round(deadline, 6)) == ([4], left)
    assert found.elapsed_ms == round(seconds * 1000, 1)


def test_a_longer_sample_gets_its_own_time() -> None:
    source = Source()
    deep(Look((snapshot(holder("cron/a", HolderKind.CRON, 9, 4)),), 1.0), source, None, 0.2, 20.0)
    assert round(source.asked[0][1], 6) == 22.5


def test_all_servers_share_one_taking_and_each_gets_its_own() -> None:
    first = snapshot(holder("cron/a", HolderKind.CRON, 9, 4))
    second = snapshot(holder("cron/b", HolderKind.CRON, 9, 5))
    source = Source()
    found = deep(Look((first, second), 1.0), source)
    assert [pids for pids, _ in source.asked] == [[4, 5]]
    assert [[one.pid for one in s.facts.stacks] for s in found.snapshots] == [[4], [5]]


def test_only_those_that_were_asked_for() -> None:
    source = Source()
    deep(Look((snapshot(holder("cron/a", HolderKind.CRON, 9, 4, 5, 6)),), 1.0), source, frozenset({5, 99}))
    assert [pids for pids, _ in source.asked] == [[5]]


def test_a_crowd_is_cut_and_that_is_told() -> None:
    source = Source()
    many = holder("uvicorn/web", HolderKind.SERVICE, 9, *range(1, 101))
    found = deep(Look((snapshot(many),), 1.0), source)
    assert len(source.asked[0][0]) == MOST
    (gap,) = (gap for gap in found.snapshots[0].facts.gaps if gap.source == "stacks")
    assert (gap.what, gap.count, gap.opens) == (
        "stacks of 24 of 100 processes were taken; left out: uvicorn/web (76)", 100 - MOST, "pgusher why uvicorn/web"
    )  # fmt: skip


def test_who_is_left_out_is_named_and_the_worst_never_is() -> None:
    small = [holder(f"script/{n:02}", HolderKind.SCRIPT, n, n) for n in range(1, 31)]
    worst = holder("cron/my job", HolderKind.CRON, 1, *range(101, 115))
    source = Source()
    found = deep(Look((snapshot(*small, worst),), 1.0), source)
    assert source.asked[0][0][0] == 101
    (gap,) = found.snapshots[0].facts.gaps
    assert gap.what.startswith("stacks of 24 of 44 processes were taken; left out: script/07 (1), script/06 (1), ")
    assert gap.what.endswith("script/01 (1), cron/my job (13)")
    many = [holder(f"script/{n:03}", HolderKind.SCRIPT, n, n) for n in range(1, 131)]
    (gap,) = deep(Look((snapshot(*many),), 1.0), Source()).snapshots[0].facts.gaps
    assert gap.what.endswith("script/095 (1), 94 holders more (94)")
    assert gap.opens == "pgusher why script/106"


def test_more_of_one_holder_than_are_ever_looked_at_are_asked_for_by_pid() -> None:
    many = holder("uvicorn/web", HolderKind.SERVICE, 9, *range(1, 101))
    found = deep(Look((snapshot(many),), 1.0), Source(), frozenset(range(1, 101)))
    (gap,) = found.snapshots[0].facts.gaps
    assert (gap.what, gap.opens) == (
        "stacks of 60 of 100 processes were taken; left out: uvicorn/web (40)", "pgusher why 61"
    )  # fmt: skip


def test_a_name_with_a_blank_is_quoted() -> None:
    small = [holder(f"cron/{n:02}", HolderKind.CRON, n, n) for n in range(1, 25)]
    found = deep(Look((snapshot(*small, holder("script/my job", HolderKind.SCRIPT, 0, 99)),), 1.0), Source())
    assert found.snapshots[0].facts.gaps[0].opens == "pgusher why 'script/my job'"


def test_children_stay_with_their_parents() -> None:
    taken = [stacks(4), stacks(41, 4, asked=False), stacks(411, 41, asked=False), stacks(51, 5, asked=False)]
    found = with_stacks(snapshot(holder("cron/a", HolderKind.CRON, 9, 4)), taken, [4])
    assert [one.pid for one in found.facts.stacks] == [4, 41, 411]


def test_a_parent_and_its_other_children_stay_with_the_one_asked_for() -> None:
    taken = [stacks(41, 4), stacks(4, 3, asked=False), stacks(42, 4, asked=False), stacks(5, 3, asked=False)]
    found = with_stacks(snapshot(holder("cron/a", HolderKind.CRON, 9, 41)), taken, [41])
    assert [one.pid for one in found.facts.stacks] == [41, 4, 42]


def test_the_same_reason_is_told_once_with_its_count() -> None:
    gap = Gap("stacks", "the frames of process 4", "py-spy is not installed", "pip install 'pgusher[why]'")
    taken = [stacks(pid, gap=replace(gap, what=f"the frames of process {pid}")) for pid in (4, 5)]
    taken.append(stacks(6, gap=Gap("stacks", "the threads of process 6", "permission denied", "run pgusher as root")))
    found = with_stacks(snapshot(holder("cron/a", HolderKind.CRON, 9, 4, 5, 6)), taken, [4, 5, 6])
    gaps = [(gap.what, gap.why) for gap in found.facts.gaps]
    assert gaps == [
        ("the frames of 2 processes", "py-spy is not installed"),
        ("the threads of process 6", "permission denied"),
    ]


@pytest.mark.parametrize(("local", "why"), [(False, "the server is on another host"), (True, "no process of a client")])
def test_where_no_thread_can_be_seen_that_is_a_gap(local: bool, why: str) -> None:
    seen = snapshot(holder("remote/x", HolderKind.REMOTE, 9, 7), local=local)
    (gap,) = deep(Look((seen,), 1.0), Source()).snapshots[0].facts.gaps
    assert gap.why.startswith(why)
    assert deep(Look((snapshot(),), 1.0), Source()).snapshots[0].facts.gaps == (), "nobody is connected"
