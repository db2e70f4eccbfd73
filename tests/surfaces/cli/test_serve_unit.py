from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pgusher.demo.server import EmbeddedServer
from tests.bed.bed import Bed
from tests.bed.requirements import needs_root
from tests.surfaces.fakes import FakeApp, Shell
from tests.surfaces.web.test_server import Running


@pytest.fixture(scope="module")
def bed(server: EmbeddedServer) -> Iterator[Bed]:
    bed = Bed(server)
    yield bed
    bed.close()


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


def unit(*asked: str) -> str:
    result = Shell(FakeApp()).run("serve", "--install-systemd", *asked)
    assert result.code == 0
    return result.out


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed")
@pytest.mark.parametrize("asked", [(), ("--allow-actions", "--record", "--store", "/srv/a b/r.db")])
def test_systemd_finds_nothing_to_say_of_the_unit(asked: tuple[str, ...], tmp_path: Path) -> None:
    path = tmp_path / "pgusher-serve.service"
    path.write_text(unit(*asked))
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", str(path)], capture_output=True, text=True, check=False
    )
    mine = [line for line in (done.stdout + done.stderr).splitlines() if "pgusher-serve" in line]
    assert (done.returncode, mine) == (0, [])


HOLDER = """
import os, sys, time
import psycopg
held = [psycopg.connect(sys.argv[1]) for _ in range(3)]
os.setgroups([]); os.setgid(65534); os.setuid(65534)
print("ready", flush=True)
time.sleep(600)
"""


@needs_root
@pytest.mark.skipif(shutil.which("setpriv") is None, reason="setpriv is not installed")
def test_with_the_capabilities_of_the_unit_and_nothing_to_write_to_it_sees_as_root_does(
    bed: Bed, tmp_path: Path
) -> None:
    """No systemd is started here: the kernel is given what the unit says, but for its filter of system calls."""
    caps = re.findall(r"(?m)^AmbientCapabilities=(.*)$", unit())[0].lower().replace("cap_", "").split()
    only = "-all," + ",".join(f"+{one}" for one in caps)
    state = tmp_path / "state"
    state.mkdir()
    (tmp_path / "report.py").write_text(HOLDER)
    holder = subprocess.Popen([sys.executable, str(tmp_path / "report.py"), bed.dsn()], stdout=subprocess.PIPE)
    closed = (
        f"mount --make-rprivate / && mount --bind {state} {state} && mount -o remount,bind,ro / && exec setpriv"
        f" --no-new-privs --bounding-set={only} --inh-caps={only} --ambient-caps={only}"
        ' "$@"'
    )
    served = None
    try:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"ready\n"
        served = Running(bed, state, "--record", before=["unshare", "--mount", "sh", "-c", closed, "sh"])
        found: Any = None
        for _ in range(100):
            found = served.client.get("/state.json").json()
            if found["servers"]:
                break
            time.sleep(0.1)
        (server,) = found["servers"]
        assert server["gaps"] == []
        (mine,) = (one for one in server["holders"] if one["slots"] == 3)
        assert mine["title"].endswith("report.py (nobody)"), mine
        assert served.client.get("/holder.json", params={"name": mine["name"]}).status_code == 200
    finally:
        holder.kill()
        holder.communicate()
        if served is not None:
            code, said = served.close()
            assert (code, "Traceback" in said) == (0, False), said
    assert (state / "record.db").exists() or list(state.glob("**/*.db"))
