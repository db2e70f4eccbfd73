"""What is written down of a staging: whole, ours, and enough to end it from another process."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pgusher.demo import record
from pgusher.demo.keeper import COOKIE
from pgusher.demo.reaper import Identity, boot_id, identity
from pgusher.demo.record import Record
from tests.bed import needs_root


def here(directory: Path, **changes: object) -> Record:
    """The record of a staging that we keep ourselves."""
    me = identity(os.getpid())
    assert me is not None
    facts = {"directory": str(directory), "cookie": "c", "boot": boot_id(), "host": me, **changes}
    return Record(**facts)  # type: ignore[arg-type]  # what a test changes has the right type


@pytest.fixture
def directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The directory of a staging, where `records()` looks."""
    monkeypatch.setattr(record, "_PLACES", ())
    monkeypatch.setattr("tempfile.gettempdir", lambda: str(tmp_path))
    path = tmp_path / f"{record.PREFIX}abc"
    path.mkdir(mode=0o711)
    path.chmod(record.MODE)
    return path


class TestReading:
    def test_what_was_written_is_read(self, directory: Path) -> None:
        written = here(
            directory,
            processes=(Identity(1, 2), Identity(3, 4)),
            server=(Identity(5, 6),),
            directories=("/a", "/b"),
            port=5433,
            kept=True,
        )
        record.write(written)
        assert record.records() == [written]
        assert (directory / "record.json").stat().st_mode & 0o077 == 0
        assert os.listdir(directory) == ["record.json"]

    def test_it_runs_as_long_as_its_host_does_in_this_boot(self, directory: Path) -> None:
        assert here(directory).running
        assert not here(directory, boot="another").running
        assert not here(directory, host=Identity(os.getpid(), 1)).running

    def test_a_directory_that_others_can_write_to_is_not_believed(self, directory: Path) -> None:
        record.write(here(directory))
        directory.chmod(0o777)
        assert record.records() == []

    def test_neither_is_a_link(self, directory: Path) -> None:
        record.write(here(directory))
        (directory.parent / f"{record.PREFIX}link").symlink_to(directory)
        assert [found.directory for found in record.records()] == [str(directory)]

    @needs_root
    def test_nor_what_belongs_to_another_user(self, directory: Path) -> None:
        record.write(here(directory))
        os.chown(directory, 12345, 12345)
        assert record.records() == []

    @given(text=st.text(max_size=60))
    def test_nor_a_torn_one(self, tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
        path = tmp_path_factory.mktemp(record.PREFIX)
        (path / "record.json").write_text(text, encoding="utf-8", errors="replace")
        assert record.read(str(path)) is None

    @given(
        damage=st.dictionaries(
            st.sampled_from(["boot", "host", "processes", "server", "directories", "port", "kept", "cookie"]),
            st.none() | st.integers() | st.text(max_size=5) | st.lists(st.integers() | st.text(max_size=3), max_size=3),
            min_size=1,
        )
    )
    def test_a_damaged_one_is_read_or_is_none(
        self, tmp_path_factory: pytest.TempPathFactory, damage: dict[str, object]
    ) -> None:
        path = tmp_path_factory.mktemp(record.PREFIX)
        record.write(here(path))
        data = json.loads((path / "record.json").read_text())
        (path / "record.json").write_text(json.dumps({**data, **damage}))
        found = record.read(str(path))
        assert found is None or isinstance(found, Record)

    def test_no_place_is_no_error(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(record, "_PLACES", ("/nonexistent",))
        monkeypatch.setattr("tempfile.gettempdir", lambda: "/nonexistent/either")
        assert record.records() == []


class TestStopping:
    def test_a_host_gets_the_time_to_end_what_it_keeps(self, directory: Path) -> None:
        script = (
            "import signal, sys, time\n"
            "end = lambda *_: (time.sleep(0.3), open(sys.argv[1], 'w').close(), sys.exit())\n"
            "signal.signal(15, end)\n"
            "print(1, flush=True)\n"
            "time.sleep(600)\n"
        )
        trace = directory.parent / "ended in its own way"
        host = subprocess.Popen([sys.executable, "-c", script, trace], stdout=subprocess.PIPE)
        assert host.stdout is not None
        host.stdout.readline()
        host.stdout.close()
        kept = here(directory, host=identity(host.pid), cookie="of nobody")
        record.write(kept)
        assert record.stop(kept) == (0, [])
        host.wait()
        assert trace.exists()
        assert not directory.exists()

    def test_what_a_killed_host_left_is_ended(self, directory: Path) -> None:
        dead = subprocess.Popen(["true"])
        dead.wait()
        orphans = [subprocess.Popen(["sleep", "600"], env={COOKIE: "left behind"}) for _ in range(2)]
        known = subprocess.Popen(["sleep", "600"])
        elsewhere = directory.parent / "the server's directory"
        elsewhere.mkdir()
        left = here(
            directory,
            host=Identity(dead.pid, 1),
            cookie="left behind",
            processes=(identity(known.pid),),
            directories=(str(elsewhere),),
        )
        assert record.clear(left) == []
        for process in (*orphans, known):
            process.wait()
            assert identity(process.pid) is None
        assert not directory.exists()
        assert not elsewhere.exists()

    def test_after_a_reboot_only_the_directory_is_left(self, directory: Path) -> None:
        innocent = subprocess.Popen(["sleep", "600"])
        of_another_boot = here(directory, boot="another", host=Identity(1, 1), processes=(identity(innocent.pid),))
        record.write(of_another_boot)
        assert record.clear(of_another_boot) == []
        assert innocent.poll() is None, "its pid and start were those of another process then"
        innocent.kill()
        innocent.wait()
        assert not directory.exists()

    def test_a_server_that_stays_is_told(self, directory: Path) -> None:
        server = subprocess.Popen(["sleep", "600"])
        process = identity(server.pid)
        began = time.monotonic()
        assert record.clear(here(directory, host=Identity(1, 1), server=(process,)), seconds=0.1) == [process]
        assert time.monotonic() - began >= 0.1
        assert server.poll() is None, "a server is never killed by hand"
        server.kill()
        server.wait()
