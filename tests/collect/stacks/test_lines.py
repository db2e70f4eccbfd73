"""The text of the lines on stacks: the user's own, those that run, and none that the process may not read itself."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from pgusher.collect.stacks.lines import with_lines
from pgusher.model.stacks import Frame, ProcessStacks, StackOrigin, ThreadStack

FAR = 1 << 60
SOURCE = (
    "import queue\n\n    todo[name].join()  # waits\nconnect(password='geheim42')\n" + "x = 1  # " + "y" * 400 + "\n"
)


@pytest.fixture
def job(tmp_path: Path) -> Path:
    file = tmp_path / "job.py"
    file.write_text(SOURCE)
    file.chmod(0o644)
    return file


def text(file: str, line: int, *, start: int = FAR, uid: int | None = None) -> str:
    """What is shown of a line of a file by this very process."""
    thread = ThreadStack(1, frames=(Frame("main", file, line),))
    process = ProcessStacks(
        os.getpid(), 1, start, StackOrigin.PY_SPY, (thread,), uid=os.geteuid() if uid is None else uid
    )
    ((shown,),) = [one.threads for one in with_lines([process])]
    return shown.frames[0].text


def test_the_line_is_told_without_its_blanks(job: Path) -> None:
    assert text(str(job), 3) == "todo[name].join()  # waits"


def test_secrets_in_it_are_not(job: Path) -> None:
    assert "geheim42" not in text(str(job), 4)
    assert text(str(job), 4).startswith("connect(password=")


def test_a_long_line_is_cut(job: Path) -> None:
    assert len(text(str(job), 5)) == 200


def test_a_relative_file_is_that_of_the_process_s_directory(job: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(job.parent)
    assert text("job.py", 1) == "import queue"


@pytest.mark.parametrize("line", [0, 6, 10_000])
def test_a_line_that_is_not_there_has_none(job: Path, line: int) -> None:
    assert text(str(job), line) == ""


def test_a_file_written_after_the_process_started_is_not_what_runs(job: Path) -> None:
    assert text(str(job), 1, start=1) == ""


def test_only_sources_are_read(tmp_path: Path) -> None:
    secret = tmp_path / "shadow"
    secret.write_text("root:x\n")
    assert text(str(secret), 1) == ""
    assert text("/etc/shadow", 1) == ""
    assert text("<string>", 1) == ""
    os.mkfifo(tmp_path / "pipe.py")
    assert text(str(tmp_path / "pipe.py"), 1) == ""
    assert text(str(tmp_path), 1) == ""
    assert text("/nonexistent/x.py", 1) == ""
    assert text("a\0b.py", 1) == ""


def test_libraries_have_none(tmp_path: Path) -> None:
    directory = tmp_path / "lib" / "python3.11"
    directory.mkdir(parents=True)
    (directory / "queue.py").write_text("x\n")
    assert text(str(directory / "queue.py"), 1) == ""


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root: looks at a file that another user may not read")
def test_root_shows_nothing_that_the_process_may_not_read_itself(job: Path) -> None:
    job.chmod(0o600)
    assert text(str(job), 1, uid=65534) == ""
    os.chown(job, 65534, -1)
    assert text(str(job), 1, uid=65534) == "import queue"


def test_a_process_that_is_gone_is_no_error() -> None:
    thread = ThreadStack(1, frames=(Frame("main", "job.py", 1),))
    gone = ProcessStacks(1 << 22, 1, FAR, StackOrigin.PY_SPY, (thread,))
    assert with_lines([gone]) == (gone,)
