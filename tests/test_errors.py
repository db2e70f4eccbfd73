from __future__ import annotations

import pickle
import traceback

import pytest

from pgusher.errors import ConfigError, PgusherError, SnapshotError, UnreachableError, UsageError


def test_its_text_is_the_primary_line_alone() -> None:
    error = PgusherError("97 of 97 slots are taken", "3 are reserved", "pgusher who")
    assert str(error) == error.message == "97 of 97 slots are taken"
    assert (error.detail, error.hint) == ("3 are reserved", "pgusher who")


def test_an_ordinary_traceback_shows_detail_and_hint() -> None:
    error = PgusherError("97 of 97 slots are taken", "3 are reserved", "pgusher who")
    shown = "".join(traceback.format_exception(error)).splitlines()
    assert shown[-3:] == [
        "pgusher.errors.PgusherError: 97 of 97 slots are taken",
        "DETAIL: 3 are reserved",
        "HINT: pgusher who",
    ]


@pytest.mark.parametrize(
    ("detail", "hint", "notes"),
    [(None, "do this", ["HINT: do this"]), ("so it is", None, ["DETAIL: so it is"]), ("", None, ["DETAIL: "])],
)
def test_what_is_not_given_is_not_noted(detail: str | None, hint: str | None, notes: list[str]) -> None:
    assert PgusherError("x", detail, hint).__notes__ == notes


def test_with_neither_it_has_no_notes() -> None:
    assert not hasattr(PgusherError("x"), "__notes__")


@pytest.mark.parametrize("kind", [PgusherError, UsageError, ConfigError, SnapshotError, UnreachableError])
def test_it_crosses_a_process_boundary_whole(kind: type[PgusherError]) -> None:
    error = kind("x", "y", "z")
    copy = pickle.loads(pickle.dumps(error))  # noqa: S301 - our own bytes, made on this line
    assert type(copy) is kind
    assert (copy.message, copy.detail, copy.hint) == ("x", "y", "z")
    assert copy.__notes__ == ["DETAIL: y", "HINT: z"]


@pytest.mark.parametrize("kind", [ConfigError, SnapshotError])
def test_a_file_that_cannot_be_used_is_a_usage_error(kind: type[PgusherError]) -> None:
    assert issubclass(kind, UsageError)
