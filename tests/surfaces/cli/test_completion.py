"""Completion, in the real shells: bash, zsh and fish are started, and Tab is pressed in them."""

from __future__ import annotations

import os
import pty
import select
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from pgusher.errors import UnreachableError
from pgusher.surfaces.cli.completion import names, script
from pgusher.surfaces.cli.context import Context
from pgusher.surfaces.cli.output import Output
from tests.surfaces import worlds
from tests.surfaces.fakes import FakeApp, Look, Shell, Stream, renamed, shell

EVIL = "cron/$(touch evil)`touch evil`; touch evil"


def needs(program: str) -> pytest.MarkDecorator:
    return pytest.mark.skipif(shutil.which(program) is None, reason=f"{program} is not installed")


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A directory with a stand-in for pgusher that knows three holders, one of them malicious, and logs its words."""
    program = tmp_path / "bin" / "pgusher"
    program.parent.mkdir()
    program.write_text(
        f"#!/bin/sh\nprintf '%s\\n' \"$*\" >> {tmp_path}/asked\necho noise >&2\n"
        "printf 'unit/grafana-server\\t62 slots\\ncron/version_history\\t8 slots\\n'\n"
        f"cat <<'end'\n{EVIL}\t1 slot\nend\n"
    )
    program.chmod(0o755)
    for shell_name, file in (("bash", "pgusher.bash"), ("zsh", "_pgusher"), ("fish", "pgusher.fish")):
        (tmp_path / file).write_text(script(shell_name))
    return tmp_path


def environment(home: Path) -> dict[str, str]:
    return {"PATH": f"{home}/bin:{os.environ['PATH']}", "HOME": str(home), "TERM": "dumb", "LC_ALL": "C.UTF-8"}


def bash(home: Path, line: str) -> list[str]:
    """What bash offers at the end of the line, by its own splitting of the line into words."""
    words = line.replace("=", " = ").split() + ([""] if line.endswith((" ", "=")) else [])
    quoted = " ".join(f"'{word}'" for word in words)
    program = (
        f"source {home}/pgusher.bash; COMP_WORDS=({quoted}); COMP_CWORD={len(words) - 1}; COMP_LINE='{line}';"
        f"COMP_POINT={len(line)}; _pgusher pgusher; printf '%s\\n' \"${{COMPREPLY[@]}}\""
    )
    done = subprocess.run(
        ["bash", "--norc", "-c", program],
        env=environment(home),
        cwd=home,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert done.stderr == ""
    return done.stdout.splitlines()


@needs("bash")
@pytest.mark.parametrize(
    ("line", "offered"),
    [
        ("pgusher do", ["doctor"]),
        ("pgusher --port 5433 wh", ["who", "why"]),
        ("pgusher --port=5433 why", ["why"]),
        ("pgusher --pl", ["--plain"]),
        ("pgusher demo --", ["--keep", "--stop", "--help", "--version"]),
        ("pgusher --color a", ["auto", "always"]),
        ("pgusher --color=n", ["never"]),
        ("pgusher completion ", ["bash", "zsh", "fish"]),
        ("pgusher --host ", [""]),
        ("pgusher who un", ["unit/grafana-server"]),
        ("pgusher --from pgusher.b", ["pgusher.bash"]),
        ("pgusher free --apply cron/v", ["cron/version_history"]),
        ("pgusher free -p 5433 --apply=cron/v", ["cron/version_history"]),
        ("pgusher cron --apply ", [""]),
    ],
)
def test_bash_completes(home: Path, line: str, offered: list[str]) -> None:
    assert bash(home, line) == offered


@needs("bash")
def test_bash_does_not_run_what_a_holder_is_called(home: Path) -> None:
    offered = bash(home, "pgusher -p 5433 who cron/")
    assert offered[0] == "cron/version_history"
    # As a word that the shell, when the line is run, takes back for the name itself.
    back = subprocess.run(
        ["bash", "-c", f"printf %s {offered[1]}"], capture_output=True, text=True, timeout=60, check=True
    )
    assert back.stdout == EVIL
    assert not (home / "evil").exists()
    assert (home / "asked").read_text() == "completion line -- pgusher -p 5433 who cron/\n"


@needs("bash")
def test_bash_asks_for_plans_where_a_plan_is_wanted(home: Path) -> None:
    assert EVIL not in bash(home, "pgusher free --apply ")  # it is quoted here, too
    assert (home / "asked").read_text() == "completion names -- free --apply\n"
    assert not (home / "evil").exists()


@needs("fish")
@pytest.mark.parametrize(
    ("line", "offered"),
    [
        ("pgusher do", {"doctor"}),
        ("pgusher --pla", {"--plain"}),
        ("pgusher who --no", {"--no-sql"}),
        ("pgusher --color a", {"auto", "always"}),
        ("pgusher completion ", {"bash", "zsh", "fish"}),
        ("pgusher who un", {"unit/grafana-server"}),
        ("pgusher -p 5433 who cron/", {"cron/version_history", EVIL}),
        ("pgusher free --apply cron/", {"cron/version_history", EVIL}),
    ],
)
def test_fish_completes(home: Path, line: str, offered: set[str]) -> None:
    program = f"source {home}/pgusher.fish; complete -C {_fish(line)}"
    done = subprocess.run(
        ["fish", "--no-config", "-c", program],
        env=environment(home),
        cwd=home,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert done.stderr == ""
    assert {found.split("\t")[0] for found in done.stdout.splitlines()} >= offered
    assert not (home / "evil").exists()
    if "5433" in line:
        assert (home / "asked").read_text() == "completion names -- -p 5433 who\n"


def _fish(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


@pytest.fixture
def zsh(home: Path) -> Iterator[int]:
    """A zsh on a terminal of its own, with nothing but our function."""
    process, terminal = pty.fork()
    if process == 0:
        os.chdir(home)
        os.execvpe("zsh", ["zsh", "-f", "-i"], environment(home))  # noqa: S606 - the child of a fork becomes the shell
    try:
        os.write(terminal, b"PROMPT='' RPROMPT='' ; stty -echo cols 200; unsetopt zle_bracketed_paste prompt_sp\n")
        os.write(terminal, f"fpath=({home} $fpath); autoload -U compinit; compinit -u -D; echo re'ady'\n".encode())
        until(terminal, b"ready")
        yield terminal
    finally:
        os.kill(process, signal.SIGKILL)
        os.waitpid(process, 0)
        os.close(terminal)


def until(terminal: int, wanted: bytes) -> bytes:
    """Reads until the wanted text is there; fails with what came instead after a minute."""
    seen = b""
    deadline = time.monotonic() + 60
    while wanted not in seen:
        ready, _, _ = select.select([terminal], [], [], max(0, deadline - time.monotonic()))
        assert ready, f"no {wanted!r} in {seen!r}"
        seen += os.read(terminal, 4096)
    return seen


@needs("zsh")
@pytest.mark.parametrize(
    ("typed", "wanted"),
    [
        ("pgusher do\t", b"pgusher doctor"),
        ("pgusher --pla\t", b"--plain"),
        ("pgusher -p 5433 who un\t", b"unit/grafana-server"),
        ("pgusher completion fi\t", b"fish"),
        ("pgusher --color nev\t", b"never"),
        ("pgusher who cron/v\t", b"cron/version_history"),
        ("pgusher free --apply cron/v\t", b"cron/version_history"),
        ("pgusher -p 5433 who cron/\t\t", b"touch evil"),
    ],
)
def test_zsh_completes(home: Path, zsh: int, typed: str, wanted: bytes) -> None:
    os.write(zsh, typed.encode())
    until(zsh, wanted)
    assert not (home / "evil").exists()
    if "5433" in typed:
        assert (home / "asked").read_text().splitlines()[0] == "completion names -- -p 5433 who"


def test_names_are_those_of_the_server_that_the_line_names() -> None:
    app = FakeApp(Look((worlds.incident(),)))
    found = Shell(app).run("completion", "names", "--", "-p", "5433", "-U", "who", "who")
    assert found.code == 0
    assert (
        found.out.splitlines()[0]
        == "unit/grafana-server\t62 slots, systemd unit grafana-server.service (Grafana instance)"
    )
    assert (app.requests[0].port, app.requests[0].user, app.requests[0].timeout) == (5433, "who", 1.0)
    assert app.closed == 1


@pytest.mark.parametrize(
    "line",
    [
        "pgusher --dsn='host=db user=x' who gr",
        'pgusher --dsn "host=db user=x" who "gr',
        "pgusher 'host=db user=x' who ",
    ],
)
def test_a_line_is_split_as_the_shell_would(line: str) -> None:
    app = FakeApp(Look((worlds.incident(),)))
    assert "unit/grafana-server\t" in Shell(app).run("completion", "line", "--", line).out
    assert app.requests[0].dsn == "host=db user=x"


@pytest.mark.parametrize("line", ["pgusher doctor ", "pgusher --nonsense who ", "pgusher nothing ", "", "pgusher 'who"])
def test_no_names_where_none_are_wanted_and_no_noise(line: str) -> None:
    found = shell(worlds.incident()).run("completion", "line", "--", line)
    assert (found.code, found.out, found.err) == (0, "", "")


@pytest.mark.parametrize("error", [OSError("gone"), UnreachableError("nobody")])
def test_a_server_that_does_not_answer_leaves_the_person_in_peace(error: Exception) -> None:
    found = Shell(FakeApp(error)).run("completion", "names", "--", "who")
    assert (found.code, found.out, found.err) == (0, "", "")


def test_names_that_cannot_be_typed_are_left_out() -> None:
    app = FakeApp(Look((renamed(worlds.incident(), "cron/stock_sync", "cron/\x1b[2J\n"),)))
    streams = Output(Stream(), {}), Output(Stream(), {})
    found = [name for name, _ in names(["who"], Context(app, streams, {}))]
    assert "cron/mail_digest" in found
    assert all(name.isprintable() for name in found)
    assert len(found) == 6


def test_an_unknown_shell_is_told() -> None:
    found = shell().run("completion", "tcsh")
    assert (found.code, found.out) == (2, "")
    assert "must be one of bash, zsh, fish" in found.err
