from __future__ import annotations

import os
from pathlib import Path

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


def test_what_it_writes_it_may_write_and_systemd_changes_no_word(tmp_path: Path) -> None:
    config = tmp_path / "pgusher.toml"
    config.write_text("")
    asked = [
        "--config", os.path.relpath(config), "--record", "--store", "/srv/a b/r.db", "--token-file", "/etc/pgusher/t",
        "--alert-command", r"printf '%s\n' ${HOME}",
    ]  # fmt: skip
    out = Shell(FakeApp()).run("serve", "--install-systemd", *asked).out
    assert f"--config={config} " in out
    assert 'ReadWritePaths="-/srv/a b" "-/etc/pgusher"\n' in out
    assert "$${HOME}" in out
    assert r"%%s\\n" in out
    assert "ReadWritePaths" not in Shell(FakeApp()).run("serve", "--install-systemd", "--store", "/srv/r.db").out
