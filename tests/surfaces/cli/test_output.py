"""Standard output as it really is: pipes that close, full disks, terminals of any size, locales of any age."""

from __future__ import annotations

import fcntl
import os
import pty
import struct
import subprocess
import sys
import termios
from pathlib import Path
from typing import Any

import pytest

from pgusher.surfaces.cli.output import Output
from tests.surfaces.fakes import Stream

PROGRAM = """
import sys
from pgusher.surfaces.cli.context import Context
from pgusher.surfaces.cli.main import main
from tests.surfaces import worlds
from tests.surfaces.fakes import FakeApp, Look
world = getattr(worlds, sys.argv.pop(1))
sys.exit(main(sys.argv[1:], Context(FakeApp(Look((world(),))))))
"""


def command(*words: str) -> list[str]:
    """The command as a process of its own, on a made-up server."""
    return [sys.executable, "-c", PROGRAM, *words]


def environment(**extra: str) -> dict[str, str]:
    kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    return {**kept, "PYTHONPATH": os.pathsep.join(sys.path), "LANG": "C.UTF-8", **extra}


def run(*words: str, root: Path, **extra: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        command(*words), cwd=root, env=environment(**extra), capture_output=True, timeout=60, check=False
    )


@pytest.fixture(scope="module")
def root() -> Path:
    return Path(__file__).resolve().parents[3]


def on_terminal(root: Path, *words: str, size: tuple[int, int] = (80, 24), **extra: Any) -> str:
    """What a terminal of that size gets."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", size[1], size[0], 0, 0))
    process = subprocess.Popen(
        command(*words),
        cwd=root,
        env=environment(**{"TERM": "xterm-256color", **extra}),
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
    )
    os.close(theirs)
    seen = b""
    while True:
        try:
            part = os.read(ours, 65536)
        except OSError:  # the other end is closed: how Linux ends a pseudo-terminal
            break
        if not part:
            break
        seen += part
    assert process.wait(60) in {0, 1}
    os.close(ours)
    return seen.decode().replace("\r\n", "\n")


def test_a_reader_that_leaves_is_no_error(root: Path) -> None:
    process = subprocess.Popen(
        command("incident", "who", "--all"), cwd=root, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.close()
    assert process.stderr.read() == b""
    process.stderr.close()
    assert process.wait(60) == 1  # the server is full: that is still the answer


def test_watching_ends_with_its_reader(root: Path) -> None:
    process = subprocess.Popen(
        command("incident", "--watch", "0.1"),
        cwd=root,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stdout is not None
    assert process.stderr is not None
    assert process.stdout.readline() == b"status\tfull\n"
    process.stdout.close()
    assert process.stderr.read() == b""
    process.stderr.close()
    assert process.wait(60) == 0


def test_a_full_disk_is_told_and_the_interpreter_adds_nothing(root: Path) -> None:
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            command("incident"),
            cwd=root,
            env=environment(),
            stdout=full,
            stderr=subprocess.PIPE,
            timeout=60,
            check=False,
        )
    assert done.returncode == 3
    assert done.stderr == b"pgusher: could not write to standard output: no space left on device\n"


@pytest.mark.parametrize("closed", [">&-", "2>&-", ">&- 2>&-"])
def test_closed_streams_are_no_traceback(root: Path, closed: str) -> None:
    done = subprocess.run(
        ["sh", "-c", f'"$@" {closed}', "sh", *command("incident")],
        cwd=root, env=environment(), capture_output=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 1
    assert b"Traceback" not in done.stderr


def test_a_pipe_gets_tabs_and_no_colour(root: Path) -> None:
    done = run("incident", root=root)
    assert b"\x1b" not in done.stdout
    assert b"unit/grafana-server\tunit\t57" in done.stdout


def test_colour_may_be_asked_for(root: Path) -> None:
    assert b"\x1b[" in run("incident", "--color", "always", root=root).stdout


def test_a_terminal_gets_colour_and_its_own_width(root: Path) -> None:
    text = on_terminal(root, "incident", size=(120, 40))
    assert "\x1b[1;7;31m FULL \x1b[0m" in text
    assert "Grafana instance" in text
    assert "…" in on_terminal(root, "incident", size=(60, 24))


@pytest.mark.parametrize("extra", [{"NO_COLOR": "1"}, {"TERM": "dumb"}])
def test_no_colour_when_it_is_not_wanted(root: Path, extra: dict[str, Any]) -> None:
    assert "\x1b" not in on_terminal(root, "incident", **extra)


def test_an_empty_no_color_says_nothing(root: Path) -> None:
    assert "\x1b" in on_terminal(root, "incident", NO_COLOR="")


@pytest.mark.parametrize(
    "extra", [{"LC_ALL": "C"}, {"LC_ALL": "POSIX", "PYTHONUTF8": "0"}, {"PYTHONIOENCODING": "ascii"}]
)
def test_in_an_old_locale_everything_is_ascii(root: Path, extra: dict[str, Any]) -> None:
    text = on_terminal(root, "incident", COLUMNS="60", **extra)
    assert text.isascii()
    assert "~" in text


def test_the_terminal_size_may_be_given(root: Path) -> None:
    assert max(map(len, on_terminal(root, "incident", COLUMNS="50", NO_COLOR="1").splitlines())) <= 50


@pytest.mark.parametrize(
    ("given", "width"), [("0", 80), ("x", 80), ("-5", 80), ("999999999999", 80), ("٣", 80), ("100", 100), ("", 80)]
)
def test_an_odd_size_is_the_usual_one(given: str, width: int) -> None:
    assert Output(Stream(True), {"COLUMNS": given}).screen().width == width


def test_a_closed_stream_is_no_terminal() -> None:
    stream = Stream(True)
    stream.close()
    closed = open(os.devnull)  # noqa: SIM115 - it is closed in the next line
    closed.close()
    assert not Output(closed, {}).terminal
    assert Output(None, {}).gone


def test_ctrl_c_in_a_real_terminal_is_130(root: Path) -> None:
    process = subprocess.Popen(
        command("incident", "--watch", "30"),
        cwd=root,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stdout is not None
    process.stdout.readline()
    process.send_signal(2)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (130, b"")
    assert b"Traceback" not in out


def test_narration_that_cannot_be_written_is_lost_and_nothing_else(root: Path) -> None:
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            command("incident", "--verbose"), cwd=root, env=environment(), stdout=subprocess.PIPE, stderr=full,
            timeout=60, check=False,
        )  # fmt: skip
    assert done.returncode == 1
    assert done.stdout.startswith(b"status\tfull\n")
