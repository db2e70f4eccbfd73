"""Every command that is printed to be typed next works as it is printed, and asks the server that was asked."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator
from typing import Any

import pytest

from pgusher.surfaces.cli.main import split_command
from pgusher.surfaces.cli.options import read
from tests.surfaces import findings, worlds
from tests.surfaces.fakes import FakeApp, Look, Shell
from tests.surfaces.screens import SCREENS

TYPED = ["--host", "db one.example", "--port", "5432", "--username", "monitor"]
PROGRAMS = {"kill", "systemctl", "docker", "crontab", "chmod", "pip", "cat", "ls", "py-spy"}
SQL = {"SELECT", "ALTER", "GRANT", "REVOKE"}
PLURALS = re.compile(
    r"(?<![\w.,:/-])1 (?!is|was|has|holds|hangs|waits|takes|keeps|ends|leads|process|access|address)[a-z]+s\b"
)


def shell() -> Shell:
    app = FakeApp(Look((findings.stacked(),)))
    app.diagnoses = {5432: findings.INCIDENT}
    return Shell(app)


def commands(value: Any) -> Iterator[str]:
    """Each text of an answer that is a command: those of remedies, what opens a gap, what to type next."""
    if isinstance(value, list):
        for one in value:
            yield from commands(one)
    elif isinstance(value, dict):
        for key, one in value.items():
            if isinstance(one, str) and (key == "command" or (key == "opens" and re.match("(sudo |pgusher)", one))):
                if one:
                    yield one
            else:
                yield from commands(one)


def works(command: str, typed: list[str]) -> bool:
    """Whether pgusher's own parser takes the command, or it is one of another program that a shell can read."""
    if command.split(" ", maxsplit=1)[0].upper() in SQL:
        return command.count("'") % 2 == 0 and command.count("(") == command.count(")")
    words = shlex.split(command)
    if words[0] == "sudo":
        del words[0]
    if words[0] != "pgusher":
        return words[0] in PROGRAMS
    found, rest = split_command(words[1:])
    values = read(found, rest)
    wanted = read(*split_command(typed))
    asked = {name: values[name] for name in ("host", "port", "user", "replay") if name in values}
    return all(wanted[name] == value for name, value in asked.items())


@pytest.mark.parametrize("words", [[], ["why"], ["why", "orders"], ["who"], ["doctor"]])
def test_each_is_taken_by_the_parser_and_names_the_server(words: list[str]) -> None:
    found = list(commands(json.loads(shell().run(*words, *TYPED, "--json").out)))
    assert [command for command in found if not works(command, TYPED)] == []
    assert words == ["who"] or any("pgusher --host 'db one.example' --port 5432" in command for command in found)


def test_sudo_is_told_what_the_environment_says() -> None:
    asked = shell()
    asked.environ |= {"PGHOST": "/run/a b", "PGPORT": "5433"}
    (opens,) = {check["opens"] for check in json.loads(asked.run("doctor", "--json").out)["checks"] if check["opens"]}
    assert opens == "sudo pgusher --host '/run/a b' --port 5433"


def test_an_error_names_the_server_too() -> None:
    assert shell().run("who", "nobody-at-all", "--port", "5432").err.endswith("all holders: pgusher --port 5432 who\n")


@pytest.mark.parametrize("name", [name for name in SCREENS if "pipe" not in name and "json" not in name])
def test_one_is_not_told_as_many(name: str) -> None:
    assert PLURALS.findall(SCREENS[name]()) == []


def test_the_snapshot_of_two_words_is_quoted() -> None:
    app = FakeApp()
    app.files["a b.json"] = Look((worlds.incident(),))
    found = list(commands(json.loads(Shell(app).run("--from", "a b.json", "--json").out)))
    assert found
    assert [command for command in found if not works(command, ["--from", "a b.json"])] == []
