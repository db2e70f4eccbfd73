from __future__ import annotations

import os
from pathlib import Path

import pytest

from pgusher.errors import PgusherError, UsageError
from pgusher.surfaces.web.token import default_path, form_key, read_or_make, same


def test_it_is_made_once_and_is_its_owners_alone(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "serve.token"
    token = read_or_make(str(path))
    assert len(token) == 64
    assert path.stat().st_mode & 0o777 == 0o600
    assert read_or_make(str(path)) == token
    assert read_or_make(str(tmp_path / "other")) != token


def test_one_that_others_may_read_is_refused_with_the_command(tmp_path: Path) -> None:
    path = tmp_path / "token"
    path.write_text("0123456789abcdef0123")
    path.chmod(0o644)
    with pytest.raises(UsageError, match="may be read by others: mode 644") as raised:
        read_or_make(str(path))
    assert raised.value.hint == f"make it its owner's alone: chmod 600 {path}"


@pytest.mark.parametrize(
    "text", ["", "short", "has a blank in it and more", "semi;colon;semi;colon", "\xff" * 20, "a\nb" * 9]
)
def test_what_is_no_token_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "token"
    path.write_text(text)
    path.chmod(0o600)
    with pytest.raises(UsageError, match="holds no token"):
        read_or_make(str(path))


def test_what_is_no_file_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe", 0o600)
    with pytest.raises(UsageError, match="not in a file"):
        read_or_make(str(tmp_path / "pipe"))
    with pytest.raises(PgusherError, match="could not be kept"):
        read_or_make("/proc/none/of/it")


def test_it_is_below_the_state_of_the_user() -> None:
    assert default_path({"PGUSHER_STATE": "/x"}) == "/x/serve.token"


def test_comparing() -> None:
    assert same("abc", "abc")
    assert not same("abd", "abc")
    assert not same(None, "abc")
    assert not same("ab\udc80", "abc")
    assert form_key("a") != form_key("b")
