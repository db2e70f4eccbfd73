"""The command as a person types it."""

from __future__ import annotations

import json
import sys
from dataclasses import replace

import pytest

from pgusher.errors import PgusherError, UnreachableError
from pgusher.model.server import Attempt
from pgusher.surfaces.cli import registry
from pgusher.surfaces.cli.context import Context
from pgusher.surfaces.cli.help import help_text
from pgusher.surfaces.cli.output import Output
from pgusher.surfaces.render.advice import next_commands
from pgusher.surfaces.render.tally import tally
from tests.surfaces import worlds
from tests.surfaces.fakes import FakeApp, Look, Shell, shell

INCIDENT, QUIET = worlds.incident(), worlds.quiet()


@pytest.mark.parametrize(
    ("words", "code"),
    [
        ([], 1),
        (["who"], 1),
        (["who", "grafana"], 1),
        (["--json"], 1),
        (["doctor"], 1),
        (["schema"], 0),
        (["--help"], 0),
        (["-?"], 0),
        (["help"], 0),
        (["help", "who"], 0),
        (["who", "--help"], 0),
        (["--version"], 0),
        (["-V"], 0),
        (["completion", "bash"], 0),
        (["nonsense"], 2),
        (["who", "nobody-at-all"], 2),
        (["--from", "missing.json"], 2),
        (["--watch", "2", "--save", "x"], 2),
        (["--watch", "2", "--from", "x"], 2),
        (["--from", "x", "--host", "db"], 2),
        (["--from", "x", "--no-sql"], 2),
        (["demo", "--keep", "--stop"], 2),
    ],
)
def test_exit_codes(words: list[str], code: int) -> None:
    found = shell(INCIDENT).run(*words)
    assert found.code == code
    assert (found.err != "") == (code == 2)
    assert (found.out != "") == (code != 2)


def test_a_healthy_server_is_no_finding() -> None:
    assert shell(QUIET).run().code == 0
    assert shell(QUIET, INCIDENT).run().code == 1
    assert shell(worlds.quiet(limits=True)).run().code == 1


def test_doctor_is_content_when_everything_is_seen() -> None:
    app = FakeApp(Look(()))
    app.checks = app.checks[:2]
    assert Shell(app).run("doctor").code == 0


def test_an_unreachable_server_is_three_with_detail_and_hint() -> None:
    error = UnreachableError("could not reach port 5433: connection refused", "tried 1 address", "start it\nnow")
    found = Shell(FakeApp(error)).run("--json")
    assert found.code == 3
    assert found.err == (
        "pgusher: could not reach port 5433: connection refused\nDETAIL:  tried 1 address\nHINT:  start it now\n"
    )
    back = json.loads(found.out)
    assert (back["kind"], back["exit"], back["message"]) == ("error", 3, error.message)


def test_other_errors_are_three_too_and_hostile_words_in_them_are_harmless() -> None:
    found = Shell(FakeApp(PgusherError("\x1b[2Jno\u202e"))).run()
    assert (found.code, found.err) == (3, "pgusher: \\x1b[2Jno\\u202e\n")


def test_ctrl_c_is_130_and_leaves_the_prompt_on_a_line_of_its_own() -> None:
    assert Shell(FakeApp(KeyboardInterrupt()), terminal=True).run().out == "\n"
    found = Shell(FakeApp(KeyboardInterrupt())).run()
    assert (found.code, found.out, found.err) == (130, "", "")


def test_the_looker_is_closed_whatever_happens() -> None:
    for app in (FakeApp(Look((INCIDENT,))), FakeApp(UnreachableError("x")), FakeApp(KeyboardInterrupt())):
        Shell(app).run()
        assert app.closed == 1


def test_options_reach_the_request_before_and_after_the_command() -> None:
    app = FakeApp(Look((INCIDENT,)))
    Shell(app).run(
        "-h", "db", "who", "grafana", "-p", "5433", "-U", "u", "-d", "app", "--service", "s", "--timeout", "0.5"
    )
    Shell(app).run("--no-sql", "--config", "x.toml")
    first, second = app.requests
    assert (first.host, first.port, first.user, first.database, first.service) == ("db", 5433, "u", "app", "s")
    assert (first.timeout, first.sql, second.sql) == (0.5, True, False)
    assert app.config_path == "x.toml"


@pytest.mark.parametrize(
    "words",
    [
        ["postgresql://u@db/app"],
        ["postgres://u@db/app", "who"],
        ["--json", "host=db user=u"],
        ["--dsn", "host=db"],
        ["--dsn=host=db"],
        ["-d", "host=db"],
        ["-d", "postgresql://db"],
    ],
)
def test_a_connection_string_may_stand_where_psql_takes_one(words: list[str]) -> None:
    app = FakeApp(Look((INCIDENT,)))
    Shell(app).run(*words)
    assert app.requests[0].dsn in words + [word.removeprefix("--dsn=") for word in words]
    assert app.requests[0].database is None


@pytest.mark.parametrize(
    ("words", "message", "hint"),
    [
        (["docter"], '"docter" is not a command', "did you mean doctor?"),
        (["metabase"], '"metabase" is not a command', "what it holds: pgusher who metabase"),
        (["--jsn"], 'unknown option "--jsn"', "did you mean --json?"),
        (["-h"], "option -h needs a value: HOST", "-h is the host, as in psql; help is --help or -?"),
        (["help", "whom"], '"whom" is not a command', "did you mean who?"),
    ],
)
def test_a_slip_is_answered_with_what_was_meant(words: list[str], message: str, hint: str) -> None:
    assert shell(INCIDENT).run(*words).err == f"pgusher: {message}\nHINT:  {hint}\n"


def test_a_name_that_fits_several_lists_them() -> None:
    found = shell(INCIDENT).run("who", "i")
    assert found.code == 2
    assert found.err.startswith('pgusher: "i" fits ')
    assert "unit/grafana-server" in found.err
    assert "HINT:  type more of the name\n" in found.err


def test_messages_are_one_fact_below_80_columns() -> None:
    for words in (["who", "x" * 500], ["y" * 500], ["--z" + "z" * 500], ["--port", "q" * 500]):
        first = shell(INCIDENT).run(*words).err.split("\n")[0].removeprefix("pgusher: ")
        assert len(first) < 80
        assert not first.endswith(".")


def test_next_commands_repeat_the_connection_without_its_secrets() -> None:
    secret = "hunter2"
    found = shell(INCIDENT, terminal=True, environ={"COLUMNS": "200", "TERM": "x"}).run(
        "--dsn", f"host=db password={secret}", "--port", "5433"
    )
    assert "--port 5433 who unit/grafana-server" in found.out
    assert secret not in found.out + found.err


@pytest.mark.parametrize(
    ("argv0", "called"),
    [
        ("/usr/local/bin/pgusher", "pgusher"),
        ("pgusher", "pgusher"),
        ("/home/anna/my venv/bin/pgusher", "'/home/anna/my venv/bin/pgusher'"),
        ("/home/anna/v/lib/pgusher/__main__.py", f"{sys.executable} -m pgusher"),
    ],
)
def test_sudo_is_told_where_this_very_pgusher_is(monkeypatch: pytest.MonkeyPatch, argv0: str, called: str) -> None:
    monkeypatch.setattr(sys, "argv", [argv0])
    assert Context(FakeApp(), (Output(None, {}), Output(None, {})), {}).program == called
    blind = worlds.half_blind()
    commands = next_commands(blind, tally(blind), "pgusher --port 1", program=called)
    assert commands[0].text == f"sudo {called} --port 1"


def test_verbose_tells_what_was_tried_on_standard_error() -> None:
    view = replace(
        INCIDENT.facts.view,
        attempts=(Attempt("user=app", "no \x1b[2J", "53300", "postgres"), Attempt("user=postgres", "connected")),
    )
    seen = replace(INCIDENT, facts=replace(INCIDENT.facts, view=view))
    found = shell(seen).run("--verbose")
    assert found.err.splitlines() == [
        "tried user=app: no \\x1b[2J (SQLSTATE 53300), refused by postgres",
        "tried user=postgres: connected",
        "looked in 12 ms",
    ]


def test_help_shows_every_command_and_fits() -> None:
    text = shell().run("--help").out
    for command in registry.every():
        assert command.name in text
        for width in (40, 60, 80, 100):
            lines = help_text(command, width).splitlines()
            prose = [line for line in lines if not line.startswith(("usage", "  "))]
            assert all(len(line) <= width for line in prose)
    assert "Exit codes:" in text


def test_help_after_two_dashes_is_a_word() -> None:
    assert shell(INCIDENT).run("who", "--", "--help").code == 2


def test_the_version_names_what_it_works_with() -> None:
    lines = shell().run("--version").out.splitlines()
    assert [line.split()[0] for line in lines] == ["pgusher", "Python", "psycopg", "libpq"]
