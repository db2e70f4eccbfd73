"""The command as a process, against a real server with real holders: nothing here is made up."""

from __future__ import annotations

import json
import os
import pwd
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from pgusher.demo.server import EmbeddedServer
from pgusher.surfaces.render.schema import json_schema
from tests.bed import Bed

SERVER_SETTINGS = {"max_connections": 12}


class Command:
    """`pgusher` on one server, as the person who runs the tests, in an empty directory."""

    def __init__(self, server: EmbeddedServer, directory: Path) -> None:
        self.port = server.port
        self._directory = directory

    def run(self, *words: str, port: bool = True, stdin: str | None = None) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            self._argv(*words, port=port), env=self._environment(), cwd=self._directory, input=stdin,
            capture_output=True, text=True, timeout=120, check=False,
        )  # fmt: skip

    def tab(self, line: str) -> list[str]:
        """What bash offers at the end of a line, with the completion that is installed and this very pgusher."""
        program = self._directory / "pgusher"
        program.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -m pgusher "$@"\n')
        program.chmod(0o755)
        words = " ".join(map(shlex.quote, line.split(" ")))
        asked = (
            f"source <(pgusher completion bash); COMP_WORDS=({words}); COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1)); "
            f"COMP_LINE={shlex.quote(line)}; COMP_POINT={len(line)}; "
            "_pgusher pgusher; printf '%s\\n' \"${COMPREPLY[@]}\""
        )
        environment = {**self._environment(), "PATH": f"{self._directory}:{os.environ['PATH']}"}
        done = subprocess.run(
            ["bash", "--norc", "-c", asked], env=environment, capture_output=True, text=True, timeout=120, check=False
        )
        return [offered.rstrip() for offered in done.stdout.splitlines()]

    def watch(self) -> subprocess.Popen[str]:
        """One that looks again and again and has looked once; end it."""
        argv = self._argv("--watch", "60")
        watch = subprocess.Popen(argv, env=self._environment(), stdout=subprocess.PIPE, text=True)
        assert watch.stdout is not None
        watch.stdout.readline()
        return watch

    def _argv(self, *words: str, port: bool = True) -> list[str]:
        target = ["--host", "127.0.0.1", "--username", "postgres", "--port", str(self.port)] if port else []
        return [sys.executable, "-m", "pgusher", *words, *target]

    @staticmethod
    def _environment() -> dict[str, str]:
        environment = {name: value for name, value in os.environ.items() if not name.startswith(("PG", "LC_", "LANG"))}
        environment.update(PYTHONPATH=os.pathsep.join(filter(None, sys.path)), LANG="C.UTF-8")
        return environment

    def json(self, *words: str, code: int) -> Any:
        done = self.run(*words, "--json")
        assert done.returncode == code, done.stderr
        found = json.loads(done.stdout)
        Draft202012Validator(json_schema()).validate(found)
        return found


def _target(command: Command) -> str:
    return f"--host 127.0.0.1 --port {command.port} --username postgres"


@pytest.fixture
def command(server: EmbeddedServer, tmp_path: Path) -> Command:
    return Command(server, tmp_path)


def test_a_server_with_room_and_a_holder_on_it(bed: Bed, command: Command) -> None:
    with bed.holder("idle", sessions=3) as holder:
        found = command.json(code=0)
        (server,) = found["servers"]
        assert (server["status"], server["max_connections"]) == ("ok", 12)
        assert server["taken"] == 3 + 2  # the test's own session, which asks for the truth, and pgusher's
        (its,) = [h for h in server["holders"] if holder.pid in h["processes"]]
        assert set(its["sessions"]) >= set(holder.truth.backends)  # the tests are its parents, and have one themselves
        who = command.json("who", str(holder.pid), code=0)
        (match,) = who["matches"]
        assert match["reading"] == "client process"
        assert {session["pid"] for session in match["sessions"]} == set(holder.truth.backends)
        assert {session["chain"]["holder"] for session in match["sessions"]} == {its["name"]}
        text = command.run("who", its["name"]).stdout
        assert f"\nholder\t{its['name']}\t" in text


def test_a_full_server_is_a_finding_and_can_be_replayed(bed: Bed, command: Command, tmp_path: Path) -> None:
    holder = bed.fill()
    live = command.run("--save", str(tmp_path / "now.json"))
    assert live.returncode == 1
    assert live.stdout.startswith("status\tfull\nslots\t9 of 9 ordinary slots taken, ")
    assert live.stderr == f"saved to {tmp_path / 'now.json'}\n"
    piped = command.run("--save", "-")
    assert (piped.returncode, piped.stderr) == (1, "")
    shown = command.run("--from", "-", "--json", port=False, stdin=piped.stdout)
    assert (shown.returncode, json.loads(shown.stdout)["servers"][0]["status"]) == (1, "full")
    torn = command.run("why", "--from", "-", port=False, stdin=piped.stdout[:5000])
    assert (torn.returncode, torn.stdout, torn.stderr.count("\n")) == (2, "", 1)
    assert torn.stderr.startswith("pgusher: standard input: not JSON at line 1, column ")
    holder.stop()
    replayed = command.run("--from", str(tmp_path / "now.json"), port=False)
    assert (replayed.returncode, replayed.stdout) == (1, live.stdout)
    assert command.run().returncode == 0


def test_another_look_is_shown_as_that_and_is_nobody_s_suspect(bed: Bed, command: Command) -> None:
    with command.watch() as watch:
        try:
            found = command.json("why", code=0)["servers"][0]
            table = command.run().stdout
        finally:
            watch.terminate()
    name = f"pgusher/{pwd.getpwuid(os.geteuid()).pw_name}"
    assert f"\t{name}\t" in table
    assert name not in {finding["holder"] for finding in found["findings"]}


def test_no_server_is_three(command: Command, server: EmbeddedServer) -> None:
    done = command.run("--dsn", "host=127.0.0.1 port=1", port=False)
    assert done.returncode == 3
    assert done.stdout == ""
    assert done.stderr.startswith("pgusher: ")


def test_doctor_knows_what_it_sees(command: Command) -> None:
    found = command.json("doctor", code=0 if os.geteuid() == 0 else 1)
    assert {check["sight"] for check in found["checks"]} <= {"sees", "partly", "blind"}


def test_names_are_completed_from_the_server(bed: Bed, command: Command, server: EmbeddedServer) -> None:
    with bed.holder("idle") as holder:
        words = ["completion", "names", "--", "-h", "127.0.0.1", "-U", "postgres", "-p", str(server.port), "who"]
        done = command.run(*words, port=False)
        names = [line.split("\t")[0] for line in done.stdout.splitlines()]
        found = command.json(code=0)["servers"][0]["holders"]
        assert names == [h["name"] for h in found]
        (its,) = (h["name"] for h in found if holder.pid in h["processes"])
        assert f"{its}\t" in done.stdout, "with what tells it from others"
        line = f"pgusher -h 127.0.0.1 -U postgres --port {server.port} who {its[:3]}"
        offered = command.tab(line)
        assert its in offered, "and in the shell itself"
        assert "pgusher" not in offered, "what is offered begins as what was typed"


def test_why_names_the_line_and_the_same_again_without_the_server(
    bed: Bed, command: Command, server: EmbeddedServer, tmp_path: Path
) -> None:
    """A real script that hangs; its snapshot, replayed after it has ended, says the very same."""
    with bed.hang("queue_join_no_task_done") as hung:
        words = ["why", str(hung.pid), "--json", "--save", str(tmp_path / "why.json"), "--sample", "20"]
        live = command.run(*words)
        assert live.returncode == 1, live.stderr
        (found,) = json.loads(live.stdout)["servers"]
        (finding,) = (one for one in found["findings"] if one["rule"] == "dead-thread-holds-slots")
        assert Path(finding["file"]).name == "queue_join_no_task_done.py"
        source = Path(finding["file"]).read_text().splitlines()
        assert "# WAITS" in source[finding["line"] - 1]
        assert finding["stack"]["thread"] == "MainThread"
        assert source[finding["line"] - 1].strip() in {frame["text"] for frame in finding["stack"]["frames"]}
    again = command.run("why", str(hung.pid), "--json", "--from", str(tmp_path / "why.json"), port=False)
    assert again.returncode == 1
    # The very same, but for what is to be typed next: there the server is asked again, here the file.
    here, there = (json.dumps(json.loads(done.stdout)["servers"]) for done in (live, again))
    asked, looked = (f" {words}" for words in (_target(command), f"--from {tmp_path / 'why.json'}"))
    assert asked in here
    assert there.replace(looked, "") == here.replace(asked, "")
    report = ["report", "--redact", "--from", str(tmp_path / "why.json"), str(tmp_path / "r.json")]
    redacted = command.run(*report, port=False)
    assert redacted.returncode == 0, redacted.stderr
    assert "the findings are the same" in redacted.stderr
    text = (tmp_path / "r.json").read_text()
    assert "queue_join_no_task_done" not in text
    assert "Queue.join" in text
