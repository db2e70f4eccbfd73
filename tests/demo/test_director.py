"""The command's side of a staging: what it hears, what it runs, and that its end is the staging's."""

from __future__ import annotations

import os
import signal
import sys
import tempfile
from collections.abc import Iterator
from typing import Any

import pytest

from pgusher.demo import director as module
from pgusher.demo import reaper
from pgusher.demo.director import Director, Interrupted
from pgusher.demo.parts import StagingError
from pgusher.demo.record import read
from tests.demo.test_server import eventually

PYTHON = [sys.executable, "-c"]


@pytest.fixture
def director() -> Iterator[Director]:
    """A staging that has just begun."""
    before = [signal.getsignal(number) for number in module.SIGNALS]
    started = Director()
    try:
        yield started
    finally:
        assert started.close() == []
        assert [signal.getsignal(number) for number in module.SIGNALS] == before
        assert started.ended is not None
        assert not os.path.exists(started.directory)


def began(director: Director) -> dict[str, Any]:
    """The first thing that it tells."""
    event = director.next(60)
    assert event is not None
    return event


def test_it_hears_where_the_staging_is(director: Director) -> None:
    event = began(director)
    assert event["event"] == "began"
    assert event["directory"] == director.directory
    found = read(director.directory)
    assert found is not None
    assert found.running
    assert not found.kept
    assert reaper.parent(found.host.pid) != os.getpid(), "it descends from nobody's terminal"


def test_a_signal_is_heard_while_it_listens(director: Director) -> None:
    os.kill(os.getpid(), signal.SIGINT)
    with pytest.raises(Interrupted) as caught:
        director.next(60)
    assert caught.value.number == signal.SIGINT


class TestRun:
    def test_the_exit_code_and_the_output_are_the_commands(self, director: Director) -> None:
        with tempfile.TemporaryFile() as file:
            script = "import os, sys; print(os.getcwd(), os.environ['A']); sys.exit(3)"
            assert director.run([*PYTHON, script], {"A": "b"}, "/", file.fileno()) == 3
            file.seek(0)
            assert file.read() == b"/ b\n"

    def test_a_signal_ends_it(self, director: Director) -> None:
        script = f"import os, signal, time; os.kill({os.getpid()}, signal.SIGTERM); time.sleep(600)"
        with pytest.raises(Interrupted) as caught:
            director.run([*PYTHON, script], {}, "/")
        assert caught.value.number == signal.SIGTERM

    def test_one_that_gives_no_answer_is_ended_and_told(
        self, director: Director, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(module, "PATIENCE", 0.1)
        with pytest.raises(StagingError, match=r"^import time; time\.sleep\(600\) gave no answer in 0\.1 s$"):
            director.run([*PYTHON, "import time; time.sleep(600)"], {}, "/")


def test_a_keeping_process_that_was_killed_has_nothing_left(director: Director) -> None:
    began(director)
    found = read(director.directory)
    assert found is not None
    assert reaper.end(found.host)
    with pytest.raises(StagingError, match="has ended by itself"):
        director.keep()
    assert eventually(lambda: not reaper.alive(found.host))
