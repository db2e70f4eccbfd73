"""`pgusher why`, `rules`, `explain`: what they show, and the exit codes that scripts and monitoring go by."""

from __future__ import annotations

import json
import re
from dataclasses import replace

import pytest
from jsonschema import Draft202012Validator

from pgusher.errors import UnreachableError
from pgusher.model.findings import Diagnosis
from pgusher.surfaces.render.schema import json_schema
from tests.surfaces import findings, worlds
from tests.surfaces.fakes import FakeApp, Look, Shell

INCIDENT, QUIET = worlds.incident(), worlds.quiet()


def shell(diagnosis: Diagnosis = findings.INCIDENT, terminal: bool = False) -> Shell:
    app = FakeApp(Look((findings.stacked(),)))
    app.diagnoses = {5432: diagnosis}
    return Shell(app, terminal)


def quiet(diagnosis: Diagnosis = findings.QUIET, terminal: bool = False) -> Shell:
    app = FakeApp(Look((QUIET,)))
    app.diagnoses = {5433: diagnosis}
    return Shell(app, terminal)


WARNED = replace(findings.INCIDENT, findings=(findings.IDLE, findings.NOTE))


@pytest.mark.parametrize("command", [["why"], []])
@pytest.mark.parametrize(
    ("diagnosis", "words", "code"),
    [
        (findings.QUIET, [], 0),
        (findings.NOTES, [], 0),
        (WARNED, [], 1),
        (findings.NOTES, ["--fail-on", "note"], 1),
        (WARNED, ["--fail-on", "critical"], 0),
        (WARNED, ["--fail-on", "never"], 0),
        (findings.QUIET, ["--fail-on", "note"], 0),
        (findings.NOTES, ["--json", "--fail-on", "note"], 1),
        (WARNED, ["--format", "json"], 1),
        (WARNED, ["--fail-on", "bad"], 2),
        (WARNED, ["--format", "xml"], 2),
        (WARNED, ["--format", "nagios", "--json"], 3),
        (WARNED, ["--format", "nagios", "--watch", "1"], 3),
    ],
)
def test_the_exit_code_is_as_bad_as_it_was_asked_to_be(
    command: list[str], diagnosis: Diagnosis, words: list[str], code: int
) -> None:
    assert quiet(diagnosis).run(*command, *words).code == code


def test_a_full_server_fails_whatever_the_rules_say_unless_told_never() -> None:
    assert shell(findings.QUIET).run("why").code == 1
    assert shell(findings.QUIET).run("why", "--fail-on", "never").code == 0


def test_one_holder_is_judged_by_its_own_findings() -> None:
    assert shell().run("why", "terminal/anna@pts3").code == 0
    assert shell().run("why", "orders").code == 1
    assert shell().run("why", "orders", "--fail-on", "critical").code == 0
    assert shell().run("why", "4711").code == 1


@pytest.mark.parametrize("word", ["nobody-at-all", "no such"])
def test_a_word_that_means_nothing_is_wrong_usage(word: str) -> None:
    found = shell().run("why", word)
    assert (found.code, found.out) == (2, "")
    assert "nothing here is called" in found.err


def test_only_the_threads_of_what_was_asked_for_are_looked_at() -> None:
    found = shell().run("why", "cron/version_history")
    assert found.app.choose(INCIDENT) == {4711, 5120, 9033, 15022}
    assert shell().run("why").app.choose(INCIDENT) is None
    assert shell().run("why").app.sample == 1.0
    assert shell().run("why", "--sample", "20").app.sample == 20.0


def test_the_command_that_it_advises_can_be_typed() -> None:
    line = shell(terminal=True).run("-p", "5432", "why", "--color", "never").out.splitlines()[-1]
    words = line.partition("#")[0].split()
    assert words == ["pgusher", "explain", "stuck-job"]
    assert Shell(FakeApp()).run(*words[1:]).code == 0


def test_the_json_is_that_of_the_schema() -> None:
    for words in (["why"], ["why", "orders"], ["rules"], ["explain", "stuck-job"], []):
        found = shell().run(*words, "--json")
        data = json.loads(found.out)
        Draft202012Validator(json_schema()).validate(data)
    (server,) = json.loads(shell().run("why", "--json").out)["servers"]
    assert server["findings"][0]["id"] == "stuck-job:cron/version_history"
    assert server["findings"][0]["line"] == 57
    stack = server["findings"][0]["stack"]
    assert (stack["pid"], stack["thread"], stack["frames"][2]["text"]) == (4711, "MainThread", "todo[name].join()")
    assert server["findings"][1]["stack"] is None
    assert server["skipped"][0]["gap"]["why"] == "one look shows no coming and going"
    assert json.loads(shell().run("--json").out)["servers"][0]["findings"][0]["rule"] == "stuck-job"


def test_a_watch_gives_the_rules_the_look_before() -> None:
    def stop(count: int) -> None:
        if count == 3:
            raise KeyboardInterrupt

    for command in (["why"], []):
        app = FakeApp(Look((INCIDENT,)))
        Shell(app, True, on_sleep=stop).run(*command, "--watch", "12")
        assert app.earlier[0] is None
        assert app.earlier[1:] == [app.looks[0]] * 2


@pytest.mark.parametrize(
    ("diagnosis", "words", "line", "code"),
    [
        (findings.QUIET, [], r"PGUSHER OK - 12 of 92 ordinary slots taken, .* \| slots=12;;92;0;100 .*", 0),
        (WARNED, [], r"PGUSHER WARNING - 12 of 92 .*; unit/orders-api: 2 sessions idle in .* \| slots=12;.*", 1),
        (WARNED, ["--fail-on", "critical"], r"PGUSHER OK - 12 of 92 .*warning=1;;;0 note=1;;;0 .*", 0),
        (findings.INCIDENT, [], r"PGUSHER CRITICAL - .*; cron job version_history .*; 2 more findings \| .*", 2),
    ],
)  # fmt: skip
def test_nagios_gets_one_line(diagnosis: Diagnosis, words: list[str], line: str, code: int) -> None:
    for command in (["why"], []):
        found = quiet(diagnosis).run(*command, "--format", "nagios", *words)
        assert found.out.count("\n") == 1
        assert re.fullmatch(line + "\n", found.out), found.out
        assert found.out.count("|") == 1
        assert found.code == code


def test_nagios_is_told_of_all_servers_in_one_line() -> None:
    app = FakeApp(Look((INCIDENT, QUIET)))
    app.diagnoses = {5432: findings.INCIDENT}
    found = Shell(app).run("--format", "nagios")
    assert "port 5432: 97 of 97" in found.out
    assert "port 5433: 12 of 92" in found.out
    assert " slots_5432=100;;97;0;100 " in found.out
    assert " slots_5433=12;;92;0;100 " in found.out


@pytest.mark.parametrize("words", [["--format", "nagios"], ["why", "--format=nagios"]])
def test_nagios_is_told_what_cannot_be_known(words: list[str]) -> None:
    app = FakeApp(UnreachableError("server on port 5432 could | not be reached"))
    found = Shell(app).run(*words)
    assert (found.code, found.out) == (3, "PGUSHER UNKNOWN - server on port 5432 could / not be reached\n")


def test_the_bare_command_says_first_what_is_behind_it() -> None:
    text = shell(terminal=True).run().out
    assert "\nwhy   " in re.sub(r"\x1b\[[0-9;]*m", "", text)
    assert "pgusher why" in text
    assert text.count("\n") <= 23
    plain = shell().run().out
    assert "\nfinding\tcritical\tstuck-job\tcron job version_history" in plain


def test_without_findings_the_bare_command_is_as_before() -> None:
    text = quiet(terminal=True).run().out
    assert "pgusher why" not in text
    assert "\nwhy" not in text


def test_rules_are_listed_worst_first() -> None:
    lines = Shell(FakeApp(Look((QUIET,)))).run("rules").out.splitlines()
    assert [line.split("\t")[:2] for line in lines] == [
        ["rule", "severity"], ["stuck-job", "critical"], ["idle-in-transaction", "warning"],
        ["no-idle-timeout", "note"],
    ]  # fmt: skip


def test_a_page_is_explained_on_a_terminal_and_plain_in_a_pipe() -> None:
    assert Shell(FakeApp()).run("explain", "stuck-job").out.startswith("# stuck-job\n\nIt says `why`")
    found = Shell(FakeApp(), True).run("explain", "STUCK_JOB:cron/x", "--color", "never")
    assert found.out == "STUCK-JOB\n\nIt says `why`, and what to do.\n"


@pytest.mark.parametrize(
    ("word", "near"), [("stuck-jbo", "stuck-job"), ("idle", "no-idle-timeout"), ("zzz", "all rules: pgusher rules")]
)
def test_an_unknown_rule_is_told_the_nearest(word: str, near: str) -> None:
    found = Shell(FakeApp()).run("explain", word)
    assert found.code == 2
    assert found.err.startswith(f'pgusher: no rule is called "{word}"\n')
    assert near in found.err.split("HINT:")[1]


def test_rules_are_completed() -> None:
    found = Shell(FakeApp()).run("completion", "names", "--", "explain")
    assert [line.split("\t")[0] for line in found.out.splitlines()] == [
        "idle-in-transaction", "no-idle-timeout", "stuck-job",
    ]  # fmt: skip
