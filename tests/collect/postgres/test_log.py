"""Whom a real server refuses is read from its log, in all three formats; torn and rotated logs are survived."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from pathlib import Path

import psycopg
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pgusher.app.look import Looker
from pgusher.app.request import Request
from pgusher.collect.postgres.log import ServerLogs
from pgusher.collect.postgres.log_lines import ceiling_of, refusals, whole
from pgusher.demo.server import EmbeddedServer
from pgusher.model.refusals import LoggedRefusals
from pgusher.model.snapshot import Snapshot
from pgusher.model.values import replace
from tests.record.days import snapshot as recorded

COLLECTOR = {"logging_collector": "on", "log_directory": "deep log", "lc_messages": "C"}
FORMATS = {
    "stderr": {"lc_messages": "C"},
    "stderr with %e": {"log_line_prefix": "%m [%p] %e %q%u@%d ", "lc_messages": "C"},
    "collector": COLLECTOR,
    "csvlog": {**COLLECTOR, "log_destination": "stderr,csvlog"},
    "jsonlog": {**COLLECTOR, "log_destination": "jsonlog"},
}


def refused(server: EmbeddedServer, times: int) -> int:
    count = 0
    for _ in range(times):
        try:
            psycopg.connect(server.dsn("app", "app")).close()
        except psycopg.OperationalError as error:
            count += "remaining connection slots" in str(error)
    return count


def until(done: Callable[[], bool]) -> None:
    for _ in range(200):
        if done():
            return
        time.sleep(0.05)
    raise AssertionError("it did not come to pass")


@pytest.mark.parametrize("name", FORMATS)
def test_refusals_of_a_full_server_are_counted(name: str) -> None:
    with EmbeddedServer(18, max_connections=8, **FORMATS[name]) as server, ExitStack() as stack:  # type: ignore[arg-type]
        with psycopg.connect(server.dsn(), autocommit=True) as admin:
            admin.execute("create role app login")
            admin.execute("create database app")
        for _ in range(5):  # 3 are reserved
            stack.enter_context(psycopg.connect(server.dsn("app", "app")))
        looker = Looker(Request(dsn=server.dsn(), timeout=20.0))
        stack.callback(looker.close)
        logs = ServerLogs()
        stack.callback(logs.close)
        (seen,) = looker.look().snapshots
        assert logs.read(seen) == ()  # from its end on
        assert refused(server, 7) == 7
        found: list[LoggedRefusals] = []

        def all_told() -> bool:
            found.extend(logs.read(seen))
            return sum(one.count for one in found) >= 7

        until(all_told)
        assert sum(one.count for one in found) == 7
        for one in found:
            assert one.words.startswith("remaining connection slots are reserved")
            assert one.ceiling == "ordinary slots"
            assert one.sqlstate == (None if name in ("stderr", "collector") else "53300")
            assert os.path.exists(one.source)
            if name in ("csvlog", "jsonlog"):
                assert "(app@app from 127.0.0.1)" in one.words or "(app@app from [local])" in one.words
        if name == "csvlog":
            with psycopg.connect(server.dsn(), autocommit=True) as admin:
                admin.execute("select pg_rotate_logfile()")
            assert refused(server, 3) == 3
            found.clear()

            def three() -> bool:
                found.extend(logs.read(seen))
                return sum(one.count for one in found) >= 3

            until(three)
            assert sum(one.count for one in found) == 3


class Log:
    """A postmaster of our own making: a process in a data directory, with a log."""

    def __init__(self, directory: Path) -> None:
        self.data, self.proc = directory / "data", directory / "proc"
        here = self.proc / "77"
        self.data.mkdir()
        here.mkdir(parents=True)
        (here / "cwd").symlink_to(self.data)
        (here / "root").symlink_to("/")
        self.logs = ServerLogs(str(self.proc))
        at = recorded(1_000_000, [])
        server = replace(at.facts.server, postmaster_pid=77)
        self.seen: Snapshot = replace(at, facts=replace(at.facts, server=server))

    def now(self, kind: str, path: str) -> Path:
        (self.data / "current_logfiles").write_text(f"{kind} {path}\n")
        return self.data / path

    def count(self) -> int:
        return sum(one.count for one in self.logs.read(self.seen))


def line(words: str = "sorry, too many clients already") -> str:
    return f"2026-11-23 05:50:54.123 UTC [77] FATAL:  {words}\n"


def row(message: str, user: str = "app", state: str = "53300") -> str:
    text = '"' + message.replace('"', '""') + '"'
    return (
        f'2026-11-23 05:50:54.123 UTC,"{user}","shop",7,"10.0.0.5:4711",x,1,,t,,0,FATAL,{state},{text},,,,,,,,,,"",,0\n'
    )


def test_a_rotated_log_is_read_to_its_end_and_the_next_from_its_beginning(tmp_path: Path) -> None:
    log = Log(tmp_path)
    first = log.now("stderr", "one.log")
    first.write_text(line())
    assert log.count() == 0
    with first.open("a") as file:
        file.write(line())
    second = log.now("stderr", "two.log")
    second.write_text(line() + line())
    assert log.count() == 3
    assert log.count() == 0
    second.write_text("")  # truncated in place, as copytruncate does
    assert log.count() == 0
    second.write_text(line())
    assert log.count() == 1


def test_a_torn_row_is_read_when_it_is_whole(tmp_path: Path) -> None:
    log = Log(tmp_path)
    path = log.now("csvlog", "x.csv")
    path.write_text("")
    assert log.count() == 0
    text = row('sorry, too many clients already\nand "more", 53300')
    for cut in range(1, len(text)):
        path.write_text(text[:cut])
        if cut < len(text):
            assert log.count() == 0
        if cut % 40 == 0:
            path.write_text("")
            assert log.count() == 0
    path.write_text("")
    assert log.count() == 0
    path.write_text(text)
    assert log.count() == 1


def test_words_alone_are_no_refusal() -> None:
    """A statement that quotes them, a query that has the state, another error."""
    data = (
        b'2026 [7] ERROR:  syntax error at or near "sorry, too many clients already"\n'
        b"2026 [7] STATEMENT:  select 'FATAL:  sorry, too many clients already'\n"
        b"\tFATAL:  sorry, too many clients already\n"
        b"2026 [7] LOG:  duration: 53300 ms\n"
        b"2026 [7] FATAL:  password authentication failed\n"
    )
    assert list(refusals(data, "stderr")) == []
    assert list(refusals(row("x", state="28P01").encode() + row("53300", state="00000").encode(), "csvlog")) == []


def test_other_languages_are_known_by_their_words() -> None:
    said = b"2026 [7] FATAL:  tut mir leid, schon zu viele Verbindungen\n"
    assert list(refusals(said, "stderr")) == [("tut mir leid, schon zu viele Verbindungen", None)]
    assert ceiling_of('too many connections for role "app"') == "role limit"


def test_names_in_it_are_harmless() -> None:
    ((words, _),) = refusals(row("sorry, too many clients already", user="\x1b[31mevil\x07").encode(), "csvlog")
    assert "\x1b" not in words


@given(st.binary(max_size=2000), st.sampled_from(["csvlog", "jsonlog", "stderr"]))
def test_garbage_is_survived(data: bytes, kind: str) -> None:
    end = whole(data, kind)
    assert 0 <= end <= len(data)
    list(refusals(data[:end], kind))
    told = b'{"state_code":"53300","message":' + data + b"}\n"
    list(refusals(told, kind))


def test_a_log_that_is_no_file_is_not_waited_for(tmp_path: Path) -> None:
    log = Log(tmp_path)
    os.mkfifo(log.now("stderr", "pipe"))
    assert log.count() == 0
    with suppress(FileNotFoundError):
        (log.data / "current_logfiles").unlink()
    assert log.count() == 0


def test_what_was_refused_is_in_the_history(tmp_path: Path) -> None:
    """From end to end: pgusher record beside a full server, then pgusher history."""
    with EmbeddedServer(18, max_connections=8, lc_messages="C") as server, ExitStack() as stack:
        with psycopg.connect(server.dsn(), autocommit=True) as admin:
            admin.execute("create role app login")
            admin.execute("create database app")
        for _ in range(5):
            stack.enter_context(psycopg.connect(server.dsn("app", "app")))
        store = str(tmp_path / "record.db")
        command = [sys.executable, "-m", "pgusher", "record", "--dsn", server.dsn(), "--store", store, "--every", "0.2"]
        environment = {**os.environ, "PYTHONPATH": os.path.abspath("src")}
        with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment) as recording:
            try:
                until(lambda: os.path.exists(store))
                time.sleep(1.5)  # it has looked, and knows where the log ends
                assert refused(server, 4) == 4
                time.sleep(1.5)
            finally:
                recording.terminate()
                recording.communicate(timeout=30)
        done = subprocess.run(
            [sys.executable, "-m", "pgusher", "history", "--store", store, "--json"],
            capture_output=True, text=True, env=environment, check=True,
        )  # fmt: skip
        logged = [one for one in json.loads(done.stdout)["refusals"] if one["source"] != "own probe"]
        assert [(one["count"], one["by"], one["ceiling"], one["source"]) for one in logged] == [
            (4, "postgres", "ordinary slots", server.log_path)
        ]
