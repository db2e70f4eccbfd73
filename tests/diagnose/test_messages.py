"""The line that is read first holds the place that matters, however long the names are."""

from __future__ import annotations

import pytest

from pgusher.diagnose.rules.dead_thread_holds_slots import _message
from pgusher.diagnose.text import WIDTH
from pgusher.model.evidence import Certainty
from pgusher.model.stacks import Hang


def hang(file: str | None) -> Hang:
    return Hang(7, 1, "event-never-set", Certainty.LIKELY, "waits", file=file, line=21 if file else None,
                waits_in="Event.wait")  # fmt: skip


@pytest.mark.parametrize(
    ("name", "file", "message"),
    [
        ("cron/a", "/opt/a.py", "cron/a: hangs in Event.wait at a.py:21, 5 slots"),
        ("cron/a", None, "cron/a: hangs in Event.wait, 5 slots"),
        (
            f"script/{'n' * 26}.py",
            f"/x/{'n' * 10}.py",
            f"script/{'n' * 26}.py: hangs in Event.wait at {'n' * 10}.py:21",
        ),
        (f"script/{'n' * 20}.py", f"/x/{'n' * 25}.py", f"script/{'n' * 20}.py: hangs at {'n' * 25}.py:21"),
        (f"script/{'n' * 29}.py", f"/x/{'n' * 29}.py", f"{'n' * 29}.py: hangs at {'n' * 29}.py:21"),
    ],
)
def test_what_does_not_fit_is_left_out_before_the_place(name: str, file: str | None, message: str) -> None:
    assert _message(name, "hangs", hang(file), "5 slots") == message
    assert len(message) <= WIDTH


def test_a_name_without_end_is_not_cut() -> None:
    """A terminal folds it; whoever reads it in a pipe needs it whole."""
    message = _message("x" * 200, "hangs", hang("y" * 200), "5 slots")
    assert message == f"{'x' * 200}: hangs at {'y' * 200}:21"
