"""`pgusher demo` before and after the staging: what it needs, what it asks of pgusher, what it says at the end."""

from __future__ import annotations

import importlib
import importlib.util
import io
import os
import sys
from pathlib import Path
from typing import Any

import pytest

from pgusher.demo import command, typed
from pgusher.demo.command import Narrator
from pgusher.demo.reaper import Identity, boot_id
from pgusher.demo.record import Record
from pgusher.errors import PgusherError, UsageError


class Terminal(io.StringIO):
    """A stream that says that it is one."""

    def isatty(self) -> bool:
        return True


class TestWhatItNeeds:
    def test_it_is_all_here(self) -> None:
        command.require()

    @pytest.mark.parametrize(
        ("absent", "said"),
        [
            (["fastapi"], "1 package missing: fastapi"),
            (["uvicorn", "psycopg_pool"], "2 packages missing: uvicorn, psycopg-pool"),
        ],
    )
    def test_a_missing_package_is_named_with_the_command_that_installs_it(
        self, monkeypatch: pytest.MonkeyPatch, absent: list[str], said: str
    ) -> None:
        real = importlib.util.find_spec
        monkeypatch.setattr(importlib.util, "find_spec", lambda name, *_: None if name in absent else real(name))
        with pytest.raises(PgusherError) as caught:
            command.require()
        assert caught.value.message == f"the demo cannot start: {said}"
        assert caught.value.hint == "pip install 'pgusher[demo]'"

    def test_a_driver_without_libpq_is_told(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def fail(name: str) -> None:
            raise ImportError("no pq wrapper available.\n- couldn't import psycopg 'python' implementation")

        monkeypatch.setattr(importlib, "import_module", fail)
        with pytest.raises(PgusherError, match="psycopg does not load") as caught:
            command.require()
        assert "no pq wrapper" in str(caught.value.detail)

    def test_a_host_without_any_postgresql_is_told(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("pgusher.demo.binaries.binaries", dict)
        with pytest.raises(PgusherError, match="no PostgreSQL server on this host") as caught:
            command.require()
        assert caught.value.hint == "pip install 'pgusher[demo]'"

    def test_another_system_is_told(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(sys, "platform", "darwin")
        with pytest.raises(PgusherError, match="it needs Linux"):
            command.require()


class TestNarrator:
    def test_lines_carry_the_time_once(self) -> None:
        out = io.StringIO()
        Narrator(out, began=0.0).lines(["first", "second"])
        first, second = out.getvalue().splitlines()
        assert first.endswith(" s  first")
        assert second == " " * 9 + "second"

    def test_waiting_is_shown_on_a_terminal_and_taken_back(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(os, "get_terminal_size", lambda _fd: os.terminal_size((40, 24)))
        out = Terminal()
        narrator = Narrator(out, began=0.0)
        narrator.waiting("waiting for a thing whose name is longer than the line")
        shown = out.getvalue()
        assert len(shown) == 39, "the last column would start a new line"
        narrator.plain("done")
        assert out.getvalue() == shown + "\r\x1b[Kdone\n"

    def test_elsewhere_it_is_not(self) -> None:
        out = io.StringIO()
        Narrator(out, began=0.0).waiting("waiting for a thing")
        assert out.getvalue() == ""

    def test_a_terminal_that_is_gone_is_no_error(self) -> None:
        out = io.StringIO()
        out.close()
        Narrator(_Gone(), began=0.0).plain("x")


class _Gone(io.StringIO):
    def write(self, _text: str) -> int:
        raise BrokenPipeError


class TestHolder:
    def test_it_is_found_by_a_process_wherever_it_is(self) -> None:
        answer = {"servers": [{"holders": [{"name": "a", "processes": [1]}, {"name": "b", "processes": [2, 3]}]}]}
        assert typed.find_holder(answer, 3) == "b"

    @pytest.mark.parametrize(
        "answer",
        [None, [], {}, 3, {"name": "a", "processes": "3"}, {"name": 3, "processes": [3]}, {"holders": [{"name": "a"}]}],
    )
    def test_an_answer_without_it_gives_none(self, answer: Any) -> None:
        assert typed.find_holder(answer, 3) is None


class TestStop:
    @pytest.fixture(autouse=True)
    def no_leftovers(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(command, "leftovers", list)

    def kept(self, monkeypatch: pytest.MonkeyPatch, *ports: int) -> None:
        host = Identity(1, 1)
        found = [Record(f"/d/{port}", "c", boot_id(), host, port=port, kept=True) for port in ports]
        monkeypatch.setattr(command, "kept", lambda: found)

    def test_none_is_a_wrong_command(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.kept(monkeypatch)
        with pytest.raises(UsageError, match=r"^no demo is running that was started with --keep$"):
            command.stop()

    def test_so_is_another_port(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.kept(monkeypatch, 5001)
        with pytest.raises(UsageError, match=r"^no demo is running on port 5002 ") as caught:
            command.stop(5002)
        assert caught.value.detail == "kept demos are on port 5001"

    def test_of_several_one_must_be_named(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.kept(monkeypatch, 5001, 5002)
        with pytest.raises(UsageError, match=r"^2 demos are running\n") as caught:
            command.stop()
        assert caught.value.hint == "name one: pgusher demo --stop 5001"
        assert caught.value.detail == "kept demos are on port 5001, 5002"

    @pytest.mark.parametrize(("left", "code"), [([], 0), ([Identity(77, 1)], 4)])
    def test_what_is_still_there_is_told(
        self, monkeypatch: pytest.MonkeyPatch, left: list[Identity], code: int
    ) -> None:
        self.kept(monkeypatch, 5001, 5002)
        stopped: list[Record] = []

        def stop_record(record: Record) -> tuple[int, list[Identity]]:
            stopped.append(record)
            return 26, left

        monkeypatch.setattr(command, "stop_record", stop_record)
        out = io.StringIO()
        assert command.stop(5002, out=out) == code
        assert [record.port for record in stopped] == [5002]
        assert ("still there: pid 77" in out.getvalue()) == bool(left)
        assert ("nothing is left behind" in out.getvalue()) == (not left)

    def test_what_an_earlier_one_left_is_enough(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        self.kept(monkeypatch)
        left = Record(str(tmp_path / "gone"), "c", boot_id(), Identity(1, 1))
        monkeypatch.setattr(command, "leftovers", lambda: [left])
        monkeypatch.setattr(command, "clear", lambda _record: [])
        out = io.StringIO()
        assert command.stop(out=out) == 0
        assert out.getvalue() == f"Ended what was left of an earlier demo in {tmp_path}/gone.\n"
