"""Passwords in what is printed to be typed next: they are left out, and libpq has other places for them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pgusher.app.look import _unreachable
from pgusher.collect.postgres.libpq import load
from pgusher.model.server import Attempt
from pgusher.model.values import replace
from pgusher.surfaces.cli.common import without_password
from tests.surfaces import worlds
from tests.surfaces.fakes import FakeApp, Look, Shell


@pytest.mark.parametrize(
    ("dsn", "printed"),
    [
        ("postgresql://bob:s3cret@db:5433/shop", "postgresql://bob@db:5433/shop"),
        ("postgres://bob:p%40ss@a:1,b:2/shop?sslmode=require", "postgres://bob@a:1,b:2/shop?sslmode=require"),
        ("postgresql://db/shop?user=bob&password=s3cret", "postgresql://db/shop?user=bob"),
        ("postgresql://db/shop?password=s3cret&user=bob", "postgresql://db/shop?user=bob"),
        ("postgresql://db?application_name=a@b", "postgresql://db?application_name=a@b"),
        ("postgresql://bob@db/shop", "postgresql://bob@db/shop"),
        ("host=db password=s3cret port=1", "host=db port=1"),
        ("host=db password = 'it\\'s s3cret' port=1", "host=db port=1"),
        ("host=db port=1 sslpassword=s3cret", "host=db port=1"),
        ("host=db passfile=/x", "host=db passfile=/x"),
    ],
)
def test_what_is_printed_connects_to_the_same_without_a_password(dsn: str, printed: str) -> None:
    assert without_password(dsn) == printed
    kept = {key: word for key, word in load().parse(dsn).items() if key not in {"password", "sslpassword"}}
    assert load().parse(printed) == kept


@given(st.text(max_size=60))
def test_any_text_is_taken(text: str) -> None:
    assert len(without_password(text)) <= len(text)


@pytest.mark.parametrize("option", ["--dsn", "-d"])
def test_the_next_command_holds_neither_the_password_nor_a_mask(option: str) -> None:
    app = FakeApp(Look((worlds.incident(),)))
    for words in (["--width", "100"], ["--json"], ["why", "--width", "100"]):
        printed = Shell(app).run(*words, option, "postgresql://bob:s3cret@db:5433/shop").out
        assert "s3cret" not in printed
        assert "bob:" not in printed
        assert "postgresql://bob@db:5433/shop" in printed or words[0] == "why"


def test_who_gave_no_password_is_told_where_one_is_taken_from() -> None:
    seen = worlds.half_blind()
    said = "connection to server at 127.0.0.1, port 5432 failed: fe_sendauth: no password supplied"
    view = replace(seen.facts.view, attempts=(Attempt("host=db", said),))
    error = _unreachable([replace(seen, facts=replace(seen.facts, view=view))])
    assert error.message.endswith("asks for a password, and none was given")
    assert "PGPASSWORD" in str(error.hint)
    assert "~/.pgpass" in str(error.hint)
