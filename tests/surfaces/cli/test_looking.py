"""Looking: once, again and again, into a file and from one; and what is told meanwhile."""

from __future__ import annotations

import json
import re
from dataclasses import replace

import pytest

from pgusher.errors import UnreachableError
from pgusher.surfaces.cli.context import Context
from pgusher.surfaces.cli.looking import Waiting
from pgusher.surfaces.cli.output import Output
from tests.surfaces import worlds
from tests.surfaces.fakes import FakeApp, Look, Shell, Stream, shell

INCIDENT, QUIET = worlds.incident(), worlds.quiet()
SGR = re.compile(r"\x1b\[[0-9;]*m")


def stop_after(count: int) -> object:
    """As Ctrl-C during the pause after so many looks."""

    def on_sleep(done: int) -> None:
        if done == count:
            raise KeyboardInterrupt

    return on_sleep


def watching(*looks: Look | BaseException, terminal: bool = True, count: int = 3, **kinds: object) -> Shell:
    return Shell(FakeApp(*looks), terminal, on_sleep=stop_after(count), **kinds)  # type: ignore[arg-type]


def test_watching_uses_one_looker_and_ends_with_130() -> None:
    found = watching(Look((INCIDENT,))).run("--watch", "2")
    assert found.code == 130
    assert (len(found.app.requests), found.app.closed) == (1, 1)


def test_each_page_is_drawn_over_the_one_before_without_clearing_first() -> None:
    found = watching(Look((INCIDENT,)), Look((QUIET,))).run("--watch", "2")
    pages = found.out.split("\x1b[H")[1:]
    assert len(pages) == 3
    assert "\x1b[2J" not in found.out
    for page in pages:
        assert page.rstrip("\n").endswith("\x1b[J")
        assert page.count("\x1b[K\n") <= 23
        assert all(line.endswith("\x1b[K") for line in page.split("\n") if line and not line.endswith("\x1b[J"))
    assert "every 2 s, Ctrl-C ends it" in pages[0]
    assert "FULL" in pages[0]
    assert "OK" in pages[1]


def test_a_low_terminal_keeps_the_top_and_says_what_is_missing() -> None:
    found = watching(Look((INCIDENT,)), environ={"TERM": "xterm", "COLUMNS": "80", "LINES": "10"}).run("--watch", "2")
    lines = SGR.sub("", found.out.split("\x1b[H")[1]).split("\x1b[K\n")
    assert len(lines) == 10
    assert re.fullmatch(r"\.\.\. \d+ more lines: make the window higher", lines[-2])
    assert "FULL" in lines[1]


def test_in_a_pipe_each_tick_is_a_block_with_its_time() -> None:
    found = watching(Look((INCIDENT,)), terminal=False).run("--watch", "2")
    blocks = found.out.split("status\t")[1:]
    assert len(blocks) == 3
    assert all("taken at\t2026-01-24T03:12:00.123456Z\n" in block for block in blocks)
    assert "\x1b" not in found.out


def test_with_json_each_tick_is_one_line() -> None:
    found = watching(Look((INCIDENT,)), terminal=False).run("--watch", "2", "--json")
    assert [json.loads(line)["kind"] for line in found.out.splitlines()] == ["state"] * 3


def test_a_dumb_terminal_gets_blocks() -> None:
    found = watching(Look((INCIDENT,)), environ={"TERM": "dumb", "COLUMNS": "80"}).run("--watch", "2")
    assert "\x1b" not in found.out
    assert found.out.count("FULL") == 3


def test_a_server_that_goes_away_is_waited_for() -> None:
    gone = UnreachableError("could not reach port 5432: connection refused")
    found = watching(Look((INCIDENT,)), gone, Look((QUIET,))).run("--watch", "2")
    pages = found.out.split("\x1b[H")[1:]
    assert "could not reach port 5432: connection refused; asked again in 2 s" in pages[1]
    assert "OK" in pages[2]


def test_a_server_that_never_was_there_is_not_waited_for() -> None:
    found = watching(UnreachableError("could not reach it")).run("--watch", "2")
    assert (found.code, found.app.closed) == (3, 1)


def test_the_pause_is_from_beginning_to_beginning() -> None:
    slow = Shell(FakeApp(Look((INCIDENT,))), True, on_sleep=stop_after(2))  # type: ignore[arg-type]
    slow.run("--watch", "2")
    assert slow.slept == [2.0, 2.0]


def test_letters_stay_while_holders_come_and_go() -> None:
    holders = tuple(h for h in INCIDENT.holders if h.name != "unit/grafana-server")
    without = replace(INCIDENT, holders=holders)
    found = watching(Look((INCIDENT,)), Look((without,)), Look((INCIDENT,))).run("--watch", "1")
    for page in SGR.sub("", found.out).split("\x1b[H")[1:]:
        assert re.search(r"^ v +8  cron/version_history", page, re.M)
        assert re.search(r"^ o +18  unit/orders-api", page, re.M)


def test_who_can_be_watched_also_while_nobody_is_called_so() -> None:
    found = watching(Look((QUIET,)), Look((INCIDENT,))).run("who", "grafana", "--watch", "1")
    pages = found.out.split("\x1b[H")[1:]
    assert "nothing is called grafana now" in pages[0]
    assert "62 of 100 slots" in pages[1]
    assert "every 1 s" in pages[1]


def test_what_was_seen_can_be_saved_and_replayed() -> None:
    app = FakeApp(Look((INCIDENT, QUIET)))
    saved = Shell(app).run("--save", "now.json")
    assert saved.code == 1
    assert saved.err == "saved to now.json\n"
    app.files = app.saved
    for words in ([], ["who", "grafana"], ["--json"], ["who", "--json"]):
        replayed = Shell(app).run("--from", "now.json", *words)
        assert replayed.code == 1
    assert Shell(app).run("--from", "now.json").out == saved.out
    assert len(app.requests) == 1


def test_a_file_with_several_servers_takes_a_port() -> None:
    app = FakeApp(Look(()))
    app.files = {"x": Look((INCIDENT, QUIET))}
    found = Shell(app).run("--from", "x", "--port", "5433")
    assert (found.code, "port 5433" in found.out) == (0, True)
    wrong = Shell(app).run("--from", "x", "--port", "1")
    assert wrong.err == "pgusher: the snapshot holds no server on port 1\nDETAIL:  it holds port 5432, 5433\n"


def test_a_file_can_be_saved_again() -> None:
    app = FakeApp(Look(()))
    app.files = {"x": Look((INCIDENT,))}
    assert Shell(app).run("--from", "x", "--save", "y").code == 1
    assert app.saved["y"] is app.files["x"]


def test_a_snapshot_goes_through_a_pipe() -> None:
    app = FakeApp(Look((INCIDENT,)))
    saved = Shell(app).run("--save", "-")
    assert (saved.code, saved.err) == (1, ""), "the exit code is that of the look"
    assert json.loads(saved.out)["kind"] == "pgusher snapshot"
    for words, code in ((["--json"], 2), (["--format", "nagios"], 3)):  # 3 is Nagios' word for "unknown"
        refused = Shell(FakeApp(Look((INCIDENT,)))).run("why", "--save", "-", *words)
        assert (refused.code, refused.err.startswith("pgusher: --save - writes the snapshot")) == (code, True)
    app.files = {"-": Look((INCIDENT,))}
    shown = Shell(app).run("--from", "-", "--width", "100")
    assert shown.code == 1
    assert "pgusher --from FILE" in shown.out, "what came through the pipe is read: - would be another's"
    assert "--from -" not in shown.out


class Patience:
    """A context whose standard error may be a terminal."""

    def __init__(self, terminal: bool) -> None:
        self.err = Stream(terminal)
        environ = {"TERM": "xterm", "COLUMNS": "40"}
        self.context = Context(FakeApp(Look(())), (Output(Stream(), environ), Output(self.err, environ)), environ)


def request(**what: object) -> object:
    from pgusher.app.request import Request

    return Request(**what)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("what", "said"),
    [
        ({}, "waiting for the servers of this host"),
        ({"host": "db", "port": 5}, "waiting for db port 5"),
        ({"dsn": "postgresql://u:pw@db"}, "waiting for the server that was na"),
        ({"host": "h" * 80}, "waiting for hhhhhh"),
    ],
)
def test_a_slow_look_says_what_it_waits_for_and_takes_it_back(what: dict[str, object], said: str) -> None:
    patience = Patience(terminal=True)
    with Waiting(patience.context, request(**what), patience=0):  # type: ignore[arg-type]
        while "waiting" not in patience.err.getvalue():
            pass  # the timer's thread writes it at once
    shown = patience.err.getvalue()
    assert shown.startswith(said)
    assert shown.endswith("\r\x1b[K")
    assert len(shown) <= 40 + len("\r\x1b[K")
    assert "pw" not in shown


def test_a_quick_look_says_nothing() -> None:
    patience = Patience(terminal=True)
    with Waiting(patience.context, request(), patience=3600):  # type: ignore[arg-type]
        pass
    assert patience.err.getvalue() == ""


def test_nothing_is_told_into_a_file() -> None:
    patience = Patience(terminal=False)
    with Waiting(patience.context, request(), patience=0):  # type: ignore[arg-type]
        pass
    assert patience.err.getvalue() == ""


def test_nobody_connected() -> None:
    empty = worlds.World().snapshot()
    assert "nobody is connected" in shell(empty, terminal=True).run().out
    assert "nobody is connected" in shell(empty, terminal=True).run("who").out


def test_what_has_not_changed_is_not_judged_again_at_once() -> None:
    still = watching(Look((INCIDENT,)), count=4).run("--watch", "1")
    assert len(still.app.earlier) == 1
    # Its screen is drawn each second all the same: ages grow.
    assert still.out.count("\x1b[H") == 4
    moving = watching(Look((INCIDENT,)), Look((QUIET,)), Look((INCIDENT,)), count=3).run("--watch", "1")
    assert len(moving.app.earlier) == 3
    slow = watching(Look((INCIDENT,)), count=3).run("--watch", "12")
    assert len(slow.app.earlier) == 3


def test_a_page_of_a_given_width_also_in_a_pipe() -> None:
    piped = Shell(FakeApp(Look((INCIDENT,))), terminal=False)
    page = piped.run("--width", "72").out
    assert "\t" not in page
    assert "\x1b" not in page
    assert "next  pgusher" in page
    assert max(map(len, page.splitlines())) <= 72
    assert "\t" in Shell(FakeApp(Look((INCIDENT,))), terminal=False).run().out
    assert piped.run("--width", "7").code == 2
