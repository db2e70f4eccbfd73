"""Sources are read only for a process that might read them; one that fails costs no other its stacks."""

from __future__ import annotations

import os
import subprocess
import tempfile
import threading

import pytest

from pgusher.collect.stacks import StackSource, reading, source
from pgusher.collect.stacks.sources import Sources
from pgusher.model.stacks import Frame, ThreadStack
from tests.bed.requirements import needs_root

TEXT = "import queue\ntodo = queue.Queue()\ntodo.join()\n"


@needs_root
@pytest.mark.parametrize(("mode", "seen"), [(0o644, True), (0o600, False)])
def test_root_reads_no_source_for_a_process_that_may_not(mode: int, seen: bool) -> None:
    with tempfile.TemporaryDirectory() as directory:
        os.chmod(directory, 0o755)  # noqa: S103 - as a directory of programs
        path = os.path.join(directory, "job.py")
        with open(path, "w", encoding="utf-8") as file:
            file.write(TEXT)
        os.chmod(path, mode)
        nobody = subprocess.Popen(["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "sleep", "60"])
        try:
            while os.stat(f"/proc/{nobody.pid}").st_uid != 65534:
                pass
            stack = ThreadStack(nobody.pid, frames=(Frame("<module>", path, 3),), main=True)
            assert bool(Sources().clues(nobody.pid, 1 << 62, [stack])) is seen
        finally:
            nobody.kill()
            nobody.wait()


def test_many_threads_may_read_sources_at_once() -> None:
    """Two parsers at once gave SystemError on Python 3.11."""
    text = (TEXT + "def f():\n    return [[[[1]]]]\n" * 50).encode()
    failed: list[BaseException] = []

    def work() -> None:
        try:
            for _ in range(20):
                assert reading.clues(text, "job.py", {3: "<module>"})
        except BaseException as error:  # noqa: BLE001 - of whatever kind
            failed.append(error)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []


def test_what_nobody_has_foreseen_is_a_gap_of_that_process_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = source._Look.process
    first, second = (subprocess.Popen(["sleep", "60"]) for _ in range(2))

    def failing(look: source._Look, pid: int, *more: object) -> object:
        if pid == first.pid:
            raise SystemError("unforeseen")
        return whole(look, pid, *more)  # type: ignore[arg-type]

    monkeypatch.setattr(source._Look, "process", failing)
    try:
        found = {one.pid: one for one in StackSource(interval=0.01).take([first.pid, second.pid])}
    finally:
        for process in (first, second):
            process.kill()
            process.wait()
    gap = found[first.pid].gap
    assert gap is not None
    assert gap.why == "pgusher failed: SystemError"
    assert found[second.pid].threads
