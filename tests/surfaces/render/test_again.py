"""Commands inside texts ask the server that was asked."""

from __future__ import annotations

import pytest

from pgusher.surfaces.render.again import Again
from tests.surfaces import findings, worlds

TYPED = Again("pgusher --port 5433", "/opt/v/bin/pgusher")


@pytest.mark.parametrize(
    ("text", "completed"),
    [
        ("pgusher why cron/x", "pgusher --port 5433 why cron/x"),
        ("pgusher doctor", "pgusher --port 5433 doctor"),
        ("pgusher", "pgusher --port 5433"),
        ("sudo pgusher", "sudo /opt/v/bin/pgusher --port 5433"),
        ("sudo pgusher why", "sudo /opt/v/bin/pgusher --port 5433 why"),
        ("sudo pgusher, or give it CAP_SYS_PTRACE", "sudo /opt/v/bin/pgusher --port 5433, or give it CAP_SYS_PTRACE"),
        ("pgusher --watch 2", "pgusher --port 5433 --watch 2"),
        ("look as another role: pgusher -U ROLE", "look as another role: pgusher --port 5433 -U ROLE"),
        ("name one: pgusher -h HOST, or pgusher --dsn x", "name one: pgusher -h HOST, or pgusher --dsn x"),
        ("run pgusher as root", "run pgusher as root"),
        ("pip install 'pgusher[why]'", "pip install 'pgusher[why]'"),
        ("pgusher explain stuck-job", "pgusher explain stuck-job"),
        ("kill 4711", "kill 4711"),
    ],
)  # fmt: skip
def test_a_command_is_completed_once(text: str, completed: str) -> None:
    assert TYPED.text(text) == completed
    assert TYPED.text(completed) == completed


def test_what_asks_a_server_does_not_look_into_the_file_that_was_shown() -> None:
    shown = Again("pgusher --from a.json")
    assert shown.text("pgusher who cron") == "pgusher --from a.json who cron"
    for command in ("sudo pgusher why", "pgusher doctor", "pgusher --watch 2", "pgusher --save b.json"):
        assert shown.text(command) == command


def test_nothing_but_commands_is_changed() -> None:
    assert Again().idle
    assert Again().snapshot(worlds.half_blind()) == worlds.half_blind()
    assert Again().diagnosis(findings.INCIDENT) is findings.INCIDENT
    blind = TYPED.snapshot(worlds.half_blind())
    assert blind.holders == worlds.half_blind().holders
    assert all(
        "pgusher" not in gap.opens or "--port 5433" in gap.opens
        for gap in blind.facts.gaps
        if gap.opens.startswith(("sudo", "pgusher"))
    )
