"""The loop of a recorder: on the beat, over servers that go and stores that are full."""

from __future__ import annotations

import os
import socket
from pathlib import Path
from typing import Any

import pytest

from pgusher.app.look import Look
from pgusher.app.recording import notify, record
from pgusher.errors import UnreachableError
from pgusher.record.database import StoreError


class Desk:
    """Looks, keeps, and waits, by a script: what each look does, and how long it takes."""

    def __init__(self, *script: str, takes: float = 0.0) -> None:
        self.script = list(script)
        self.takes = takes
        self.now = 0.0
        self.at: list[float] = []
        self.blinds = 0
        self.said: list[str] = []

    def look(self) -> Look:
        self.at.append(round(self.now, 3))
        self.now += self.takes
        self.step = self.script.pop(0)
        if self.step == "gone":
            raise UnreachableError("no server answered")
        return Look((), 1.0)

    def take(self, _snapshots: Any) -> None:
        if self.step == "full":
            raise StoreError("store x could not be written", detail="disk full")

    def blind(self) -> None:
        self.blinds += 1

    def wait(self, timeout: float) -> bool:
        self.now += timeout
        return not self.script

    def run(self, **more: Any) -> int:
        return record(self, self, self, **{"every": 1.0, "length": None, **more}, tell=self.said.append,
                      monotonic=lambda: self.now)  # fmt: skip


def test_it_looks_on_the_beat_until_it_is_told_to_end() -> None:
    desk = Desk("ok", "ok", "ok", takes=0.3)
    assert desk.run() == 3
    assert desk.at == [0.0, 1.0, 2.0]
    assert desk.said == []


def test_looks_that_a_slow_one_has_missed_are_not_made_up_for() -> None:
    desk = Desk("ok", "ok", "ok", takes=2.5)
    desk.run()
    assert desk.at == [0.0, 2.5, 5.0]


def test_it_ends_when_its_time_is_over() -> None:
    desk = Desk(*["ok"] * 10)
    assert desk.run(length=3.0) == 3


def test_a_server_that_goes_and_comes_back_is_told_once_each() -> None:
    desk = Desk("ok", "gone", "gone", "ok", "ok")
    assert desk.run() == 3
    assert desk.blinds == 2
    assert desk.said == ["no server answered", "recording again"]


def test_a_store_that_is_full_for_a_while_is_told_once_each() -> None:
    desk = Desk("ok", "full", "full", "ok")
    assert desk.run() == 2
    assert desk.said == ["store x could not be written: disk full", "recording again"]


@pytest.mark.parametrize(("step", "error"), [("gone", UnreachableError), ("full", StoreError)])
def test_one_that_cannot_even_begin_says_so(step: str, error: type[Exception]) -> None:
    with pytest.raises(error):
        Desk(step).run()


def test_systemd_is_told_where_it_asked(tmp_path: Path) -> None:
    path = str(tmp_path / "s")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as line:
        line.bind(path)
        notify("READY=1", {"NOTIFY_SOCKET": path})
        assert line.recv(99) == b"READY=1"
    os.unlink(path)
    notify("READY=1", {"NOTIFY_SOCKET": path})
    notify("READY=1", {})
