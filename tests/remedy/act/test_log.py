"""The log of acts: added to, never changed; and nothing is done without it."""

from __future__ import annotations

import errno
import json
import os
import resource
import signal
import stat
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from pgusher.model.findings import Safety
from pgusher.model.plan import Lever, OutcomeKind, Step
from pgusher.remedy.act import Context, Log, LogError, act, place
from pgusher.remedy.act.log import parse
from pgusher.remedy.act.who import who
from tests.bed.requirements import needs_root
from tests.remedy.act.victims import Victims, plan_of


def lines(path: Path | str) -> list[bytes]:
    return Path(path).read_bytes().splitlines()


def test_its_place() -> None:
    assert place({}, 0) == "/var/log/pgusher/free.jsonl"
    assert place({"XDG_STATE_HOME": "/home/x/state"}, 0) == "/var/log/pgusher/free.jsonl"
    assert place({"XDG_STATE_HOME": "/home/x/state"}, 1000) == "/home/x/state/pgusher/free.jsonl"
    assert place({"XDG_STATE_HOME": "state"}, 1000).endswith("/.local/state/pgusher/free.jsonl")


def test_a_line_that_was_torn_stays_and_the_next_begins_anew(tmp_path: Path) -> None:
    path = tmp_path / "a" / "free.jsonl"
    log = Log(str(path))
    log.add({"kind": "begin"}, {"kind": "intent", "step": 1})
    with path.open("ab") as file:
        file.write(b'{"schema":1,"kind":"out')
    log.add({"kind": "end"})
    log.close()
    assert [entry["kind"] for entry in parse(lines(path))] == ["begin", "intent", "end"]
    assert lines(path)[2] == b'{"schema":1,"kind":"out'
    assert stat.S_IMODE(path.stat().st_mode) & 0o007 == 0
    assert stat.S_IMODE(path.parent.stat().st_mode) & 0o007 == 0


@pytest.mark.parametrize("junk", [b"\xff\xfe\n", b"[" * 100_000 + b"\n", b"1\n", b'{"schema":2}\n', b'{"a"\n', b"\0\n"])
def test_what_is_no_entry_is_left_out(junk: bytes) -> None:
    assert list(parse([junk])) == []


def test_a_stranger_cannot_have_it_written_elsewhere(tmp_path: Path) -> None:
    target = tmp_path / "target"
    target.write_text("")
    link = tmp_path / "free.jsonl"
    link.symlink_to(target)
    with pytest.raises(LogError, match="cannot be used: it is a symbolic link") as caught:
        Log(str(link))
    assert caught.value.hint == "move it away: a new one is begun"
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    with pytest.raises(LogError, match="no regular file"):
        Log(str(fifo))
    target.chmod(0o666)
    with pytest.raises(LogError, match="everybody may write it"):
        Log(str(target))


def refused(action: Callable[[], object]) -> LogError:
    with pytest.raises(LogError) as caught:
        action()
    error = caught.value
    assert len(str(error)) < 80
    assert str(error).startswith("nothing is done: the log could not be written: ")
    assert error.hint
    return error


@needs_root
def test_a_directory_that_may_not_be_written_is_one_clear_message() -> None:
    assert "operation not permitted" in str(refused(lambda: Log("/sys/pgusher/free.jsonl")))
    assert "writable" in str(refused(lambda: Log("/sys/pgusher/free.jsonl")).hint)
    assert "room" not in str(refused(lambda: Log("/dev/null/free.jsonl")).hint)
    with tempfile.TemporaryDirectory(dir="/tmp") as directory:
        os.chmod(directory, 0o755)  # noqa: S103 - that a user may go there, and not write
        child = os.fork()
        if child == 0:
            os.setuid(65534)
            try:
                Log(f"{directory}/free.jsonl")
            except LogError as error:
                os._exit(0 if "permission denied" in str(error) else 2)
            os._exit(1)
        assert os.waitpid(child, 0)[1] == 0


def in_child(action: Callable[[], None]) -> int:
    child = os.fork()
    if child == 0:
        try:
            action()
        finally:
            os._exit(1)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


@pytest.mark.parametrize(("room", "done"), [(10, False), (1_500, False), (3_200, True)])
def test_a_full_disk_stops_what_has_no_record(room: int, done: bool, tmp_path: Path) -> None:
    """The kernel refuses to write more than that many bytes. What was done before that is told all the same."""
    path = tmp_path / "free.jsonl"
    with Victims() as victims:
        processes = [victims.start("wait"), victims.start("wait")]
        steps = [
            Step(number, Lever.END_PROCESS, "x" * 300, Safety.SAFE, process=victims.identity(process))
            for number, process in enumerate(processes, 1)
        ]
        plan = plan_of(None, steps)

        def run() -> None:
            log = Log(str(path))
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            resource.setrlimit(resource.RLIMIT_FSIZE, (room, room))
            try:
                outcomes = act(plan, steps, Context(log))
            except LogError:
                os._exit(10)
            os._exit(20 + sum(one.kind is OutcomeKind.DONE for one in outcomes))

        code = in_child(run)
        gone = [process.poll() is not None for process in processes]
        if room == 10:
            assert code == 10
        else:
            assert code == 20 + sum(gone)
        assert any(gone) is done
        meant = {entry["step"] for entry in parse(lines(path)) if entry["kind"] == "intent"}
        assert {number for number, is_gone in enumerate(gone, 1) if is_gone} <= meant


def test_what_was_done_and_could_not_be_written_is_told_as_that(tmp_path: Path) -> None:
    class Failing(Log):
        def add(self, *lines: Mapping[str, object]) -> None:
            if any(line["kind"] == "outcome" for line in lines):
                raise self._failed(OSError(errno.ENOSPC, "No space left on device"))
            super().add(*lines)

    with Victims() as victims:
        processes = [victims.start("wait"), victims.start("wait")]
        steps = [
            Step(1, Lever.END_PROCESS, "", Safety.SAFE, process=victims.identity(processes[0])),
            Step(2, Lever.DRAIN, "", Safety.SAFE, process=victims.identity(processes[1])),
            Step(3, Lever.END_PROCESS, "", Safety.SAFE, process=victims.identity(processes[1])),
        ]
        log = Failing(str(tmp_path / "free.jsonl"))
        outcomes = act(plan_of(None, steps), steps, Context(log))
        log.close()
        # The first was signalled already; the answer of the second could not be written, so there is no third.
        assert [one.kind for one in outcomes] == ["done", "refused", "skipped"]
        assert all("could not be written: no space left on device" in one.hint for one in outcomes[:2])
        assert outcomes[2].text.endswith("the log could not be written: no space left on device")
        assert [process.poll() is None for process in processes] == [False, True]


def test_who_acts_is_written_without_secrets(tmp_path: Path) -> None:
    environ = {"SUDO_USER": "ann", "SUDO_UID": "1000", "SSH_CLIENT": "10.0.0.7 50000 22", "PGPASSWORD": "sesame"}
    log = Log(str(tmp_path / "free.jsonl"))
    with Victims() as victims:
        process = victims.start("wait")
        identity = victims.identity(process)
        step = Step(
            1, Lever.END_PROCESS, "end job --password=sesame", Safety.UNSAFE, "work", "it hangs", "stuck-job:cron/x",
            holder="cron/x", process=type(identity)(identity.pid, identity.start_ticks, identity.boot_id,
                                                    command="psql postgresql://app:sesame@db/app"),
        )  # fmt: skip
        act(plan_of(None, [step]), [step], Context(log, environ=environ))
    text = Path(log.path).read_text()
    assert "sesame" not in text
    entries = [json.loads(line) for line in text.splitlines()]
    assert [entry["kind"] for entry in entries] == ["begin", "intent", "tree", "outcome", "end"]
    for entry in entries:
        assert entry["who"]["uid"] == os.getuid()
        assert entry["who"]["sudo_user"] == "ann"
        assert entry["who"]["ssh_client"] == "10.0.0.7 50000 22"
        assert entry["plan"] == "test"
        assert entry["time"].endswith("+00:00")
    assert entries[3]["outcome"] == "done"
    assert (entries[3]["why"], entries[3]["finding"], entries[3]["holder"]) == (
        "it hangs",
        "stuck-job:cron/x",
        "cron/x",
    )
    assert entries[3]["process"]["start_ticks"] == identity.start_ticks
    assert entries[3]["seen_after"] == f"process {identity.pid} is gone"
    log.close()


def test_who_without_anything_is_the_uid() -> None:
    found = who({})
    assert found["uid"] == os.getuid()
    assert not {"sudo_user", "ssh_client"} & set(found)


def test_two_runs_at_once_do_not_mix_their_lines(tmp_path: Path) -> None:
    path = str(tmp_path / "free.jsonl")

    def write(word: str) -> None:
        log = Log(path)
        for _ in range(200):
            log.add({"kind": word * 500})
        os._exit(0)

    children = []
    for word in "ab":
        child = os.fork()
        if child == 0:
            try:
                write(word)
            finally:
                os._exit(1)
        children.append(child)
    assert [os.waitpid(child, 0)[1] for child in children] == [0, 0]
    # One that is looked at while another is written may seem torn: then an empty line stands in between.
    assert len(list(parse(lines(path)))) == len([line for line in lines(path) if line]) == 400
