"""Programs that really hang, each in its own way: the mechanism, the thread and the line; and none for the innocent."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from pgusher.collect.stacks.spy import find_spy
from pgusher.demo.server import EmbeddedServer
from pgusher.diagnose.hangs import find_hangs
from pgusher.model.evidence import Certainty
from pgusher.model.stacks import Hang
from tests.diagnose.hangs.staging import Script, Stage, scripts
from tests.live.looking import look

SERVER_SETTINGS = {"max_connections": 120}
ALL = scripts()
HUNG = [script for script in ALL if script.expect != "none"]
INNOCENT = [script for script in ALL if script.expect == "none"]

pytestmark = pytest.mark.skipif(find_spy() is None, reason="py-spy is not installed")


class Judged:
    """What was found of each program, over as many looks as it took."""

    def __init__(self, hangs: dict[str, Hang], accused: dict[str, Hang]) -> None:
        self.hangs = hangs
        self.accused = accused


@pytest.fixture(scope="module")
def judged(server: EmbeddedServer) -> Iterator[Judged]:
    stage = Stage(ALL, {"PGUSHER_DSN": server.dsn()})
    try:
        stage.settle()
        accused: dict[str, Hang] = {}
        hangs: dict[str, Hang] = {}
        names = {pid: name for name, pid in stage.pids.items()}
        innocent = {script.name for script in INNOCENT}
        for _ in range(4):  # on a busy machine one of fifty programs may just have been given the CPU
            stacks = stage.take()
            facts = look(server, dsn=server.dsn()).facts
            hangs = {names[hang.pid]: hang for hang in find_hangs(stacks, facts)}
            accused |= {name: hang for name, hang in hangs.items() if name in innocent}
            if all(hangs.get(script.name) and hangs[script.name].mechanism == script.expect for script in HUNG):
                break
        yield Judged(hangs, accused)
    finally:
        stage.close()


@pytest.mark.parametrize("script", HUNG, ids=lambda script: script.name)
def test_the_mechanism_the_thread_and_the_line_are_named(judged: Judged, script: Script) -> None:
    hang = judged.hangs.get(script.name)
    assert hang is not None
    assert (hang.mechanism, hang.thread) == (script.expect, script.thread), hang
    assert hang.line in script.waits, hang
    assert (hang.file or "").endswith(".py")
    assert hang.evidence or hang.mechanism == "unknown"
    if script.raises and hang.raised is not None and hang.raised.certainty is Certainty.LIKELY:
        assert hang.raised.line in script.raises, hang.raised


@pytest.mark.parametrize("script", INNOCENT, ids=lambda script: script.name)
def test_the_innocent_is_not_accused(judged: Judged, script: Script) -> None:
    assert judged.accused.get(script.name) is None


def test_of_those_with_an_error_the_line_that_raised_is_named(judged: Judged) -> None:
    wanted = [script for script in HUNG if script.raises]
    told = {script.name: judged.hangs[script.name].raised for script in wanted if script.name in judged.hangs}
    right = [script.name for script in wanted if (raised := told.get(script.name)) and raised.line in script.raises]
    assert len(wanted) >= 14
    assert len(right) >= len(wanted) - 1, {name: raised for name, raised in told.items() if name not in right}


def test_no_mechanism_is_proven_but_by_the_kernel_the_server_or_the_debugger(judged: Judged) -> None:
    proven = {hang.mechanism for hang in judged.hangs.values() if hang.certainty is Certainty.PROVEN}
    assert proven <= {
        "advisory-lock-held", "blocked-by-idle-session", "child-pipe-full", "debugger-prompt",
        "mp-join-before-drain", "pipe-full", "process-stopped", "stderr-pipe-full",
    }  # fmt: skip


def test_a_lock_names_who_has_it(judged: Judged) -> None:
    younger = judged.hangs["flock_holder_hangs"]
    assert len(younger.pids) == 1
    assert "and which hangs itself: MainThread waits in Event.wait()" in younger.sentence
    assert younger.certainty is Certainty.LIKELY  # as sure as the other's hanging, though the lock itself is proven
    older = judged.hangs["advisory_lock_older_run"]
    assert len(older.pids) == 1
    assert len(older.sessions) == 2
