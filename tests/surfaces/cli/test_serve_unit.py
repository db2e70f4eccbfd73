from __future__ import annotations

import os

from tests.surfaces.fakes import FakeApp, Shell


def test_the_unit_serves_as_it_was_asked_to() -> None:
    asked = [
        "--port", "5433", "--record", "--store", "r.db", "--token-file", "t", "--otel=http://c:4318",
        "--alert-webhook", "https://hooks.example/x", "--alert-command", "page me", "--allow-actions",
    ]  # fmt: skip
    result = Shell(FakeApp()).run("serve", "--install-systemd", *asked)
    assert result.code == 0
    (line,) = (line for line in result.out.splitlines() if line.startswith("ExecStart="))
    for word in (
        "serve --port=5433",
        f"--store={os.path.abspath('r.db')}",
        f"--token-file={os.path.abspath('t')}",
        "--otel=http://c:4318",
        "--alert-webhook=https://hooks.example/x",
        "'--alert-command=page me'",
        "--record",
        "--allow-actions",
    ):
        assert word in line, line


def test_what_was_not_asked_for_is_not_in_it_and_a_dsn_is_no_file() -> None:
    result = Shell(FakeApp()).run("serve", "--install-systemd", "--otel", "--store=postgresql://h/db")
    (line,) = (line for line in result.out.splitlines() if line.startswith("ExecStart="))
    assert line.endswith("--store=postgresql://h/db --otel")
    assert "--alert" not in line
    assert "--record" not in line
