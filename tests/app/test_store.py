"""A snapshot file holds a look; reading one attributes it anew; a broken one is one message with its place."""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pgusher.app import store
from pgusher.app.look import Look
from pgusher.attribute import attribute
from pgusher.errors import PgusherError, SnapshotError
from pgusher.model.evidence import Gap
from tests.model.test_codec import FULL

LOOK = Look((attribute(FULL),), 12.5, (Gap("discover", "one socket", "permission denied", "run pgusher as root"),))


def test_what_is_saved_is_read_back(tmp_path: Path) -> None:
    path = str(tmp_path / "look.json")
    store.save(path, LOOK)
    assert store.read(path) == LOOK
    assert stat.S_IMODE(os.stat(path).st_mode) == 0o600
    assert os.listdir(tmp_path) == ["look.json"]


def test_an_older_file_stays_when_a_new_one_cannot_be_written(tmp_path: Path) -> None:
    with pytest.raises(PgusherError, match="could not be written: no such file or directory"):
        store.save(str(tmp_path / "none" / "look.json"), LOOK)
    directory = tmp_path / "look.json"
    directory.mkdir()
    with pytest.raises(PgusherError, match="could not be written: is a directory"):
        store.save(str(directory), LOOK)
    assert os.listdir(tmp_path) == ["look.json"]


def test_what_is_no_file_is_not_replaced(tmp_path: Path) -> None:
    """As root, a snapshot in the place of /dev/null would break the host."""
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to(tmp_path / "elsewhere")
    for name in ("pipe", "link"):
        with pytest.raises(PgusherError, match="cannot be written: no regular file"):
            store.save(str(tmp_path / name), LOOK)
    assert stat.S_ISFIFO(os.lstat(tmp_path / "pipe").st_mode)
    assert os.path.islink(tmp_path / "link")
    assert sorted(os.listdir(tmp_path)) == ["link", "pipe"]


def _set(key: str, value: object) -> Callable[[dict[str, Any]], None]:
    return lambda data: data.update({key: value})


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (_set("kind", "x"), "no snapshot of pgusher's"),
        (_set("schema", 2), "schema 2, this pgusher reads schema 1"),
        (_set("servers", {}), "servers: expected a list"),
        (_set("servers", [1]), "servers[0]: expected an object, got 1"),
        (_set("gaps", [{"source": 1}]), "gaps[0].source: expected a string, got 1"),
        (lambda data: data["servers"][0]["sessions"][0].update(pid="x"), "servers[0].sessions[0].pid: expected an int"),
    ],
)
def test_what_is_wrong_is_told_with_its_place(
    tmp_path: Path, change: Callable[[dict[str, Any]], None], words: str
) -> None:
    path = tmp_path / "look.json"
    store.save(str(path), LOOK)
    data = json.loads(path.read_text())
    change(data)
    path.write_text(json.dumps(data))
    with pytest.raises(SnapshotError) as raised:
        store.read(str(path))
    assert str(raised.value).startswith(f"{path}: {words}")


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        (b"", "empty, so no snapshot"),
        (b"\n \n", "empty, so no snapshot"),
        (b'{"kind":"pgusher snapshot","schema":1,"ser', "not JSON at line 1, column 39"),
        (b"pid,usename\n1,x\n", "not JSON at line 1"),
        (b'{"kind":', "not JSON at line 1"),
        (b"\xff", "not UTF-8 at byte 0"),
        (b"[" * 200_000, "not JSON that a snapshot can hold"),
        (b"1" * 5000, "not JSON that a snapshot can hold"),
        (b"[]", "no snapshot of pgusher's"),
    ],
)
def test_what_is_no_snapshot_is_one_message(tmp_path: Path, raw: bytes, words: str) -> None:
    path = tmp_path / "look.json"
    path.write_bytes(raw)
    with pytest.raises(SnapshotError) as raised:
        store.read(str(path))
    assert str(raised.value).startswith(f"{path}: {words}")


def test_a_missing_file_is_one_message(tmp_path: Path) -> None:
    with pytest.raises(SnapshotError, match="could not be read: no such file or directory"):
        store.read(str(tmp_path / "none.json"))


@given(st.binary(max_size=200), st.integers(0, 2000))
def test_a_torn_file_is_one_message(tmp_path_factory: pytest.TempPathFactory, junk: bytes, cut: int) -> None:
    path = tmp_path_factory.mktemp("torn") / "look.json"
    store.save(str(path), LOOK)
    whole = path.read_bytes()
    path.write_bytes(whole[: cut % len(whole)] + junk)
    try:
        look: Look | None = store.read(str(path))
    except SnapshotError as error:
        look, message = None, str(error)
    else:
        message = ""
    assert look is not None or message.startswith(str(path))
    assert "\n" not in message


def test_what_is_too_large_is_not_even_read(tmp_path: Path) -> None:
    with open(tmp_path / "huge", "wb") as file:
        file.truncate(1 << 40)
    with pytest.raises(SnapshotError, match=r"huge: larger than 512 MiB, so no snapshot of pgusher's"):
        store.read(str(tmp_path / "huge"))


def test_a_stream_that_does_not_end_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "_LIMIT", 1 << 20)
    with pytest.raises(SnapshotError, match="/dev/zero: larger than 1 MiB"):
        store.read("/dev/zero")


def test_standard_input_is_read_as_a_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "look").write_text(store.text(LOOK))
    with open(tmp_path / "look", encoding="ascii") as file:
        monkeypatch.setattr("sys.stdin", file)
        assert store.read("-") == LOOK
        with pytest.raises(SnapshotError, match=r"^standard input: empty"):
            store.read("-")


def test_nobody_types_a_snapshot(monkeypatch: pytest.MonkeyPatch) -> None:
    ours, theirs = os.openpty()
    with open(theirs, encoding="ascii") as terminal:
        monkeypatch.setattr("sys.stdin", terminal)
        with pytest.raises(SnapshotError, match="no snapshot comes from a terminal"):
            store.read("-")
    os.close(ours)
