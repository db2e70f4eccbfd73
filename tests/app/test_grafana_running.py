"""A process that runs under Grafana's name, found on this host and read through /proc: its environment and its files.

The program is tail under another name: what is tested is how a running process is found and what of it is read.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from pgusher.app.grafana import find, running
from pgusher.app.look import Looker
from pgusher.app.request import Request
from pgusher.collect.grafana import GrafanaFacts
from pgusher.model.grafana import Place, Seen
from pgusher.model.process import Process
from tests.collect.grafana.test_sqlite import make

SHOP = """\
datasources:
  - name: Shop
    uid: u1
    type: postgres
    url: db1
    jsonData:
      maxOpenConns: 20
"""


@pytest.fixture
def pids(tmp_path: Path) -> Iterator[list[int]]:
    program = tmp_path / "bin" / "grafana"
    program.parent.mkdir()
    tail = shutil.which("tail")
    assert tail is not None
    shutil.copy(tail, program)
    (tmp_path / "provisioning/datasources").mkdir(parents=True)
    (tmp_path / "provisioning/datasources/shop.yaml").write_text(SHOP)
    (tmp_path / "grafana.ini").write_text(f"[paths]\ndata = {tmp_path}\nprovisioning = {tmp_path}/provisioning\n")
    (tmp_path / "VERSION").write_text("12.1.0\n")
    make(tmp_path / "grafana.db").close()
    environment = {
        "GF_PATHS_HOME": str(tmp_path),
        "GF_PATHS_CONFIG": str(tmp_path / "grafana.ini"),
        "GF_SQL_DATASOURCES_MAX_OPEN_CONNS_DEFAULT": "33",
        "GF_DATABASE_PASSWORD": "s3cr3tW0rd",
    }
    started = [subprocess.Popen([str(program), "-f", "/dev/null"], env=environment) for _ in range(2)]
    try:
        deadline = time.monotonic() + 30
        for one in started:  # until it is that program
            while not _is_it(one.pid, program) and time.monotonic() < deadline:
                os.sched_yield()
        yield [one.pid for one in started]
    finally:
        for one in started:
            one.kill()
            one.wait()


def _is_it(pid: int, program: Path) -> bool:
    try:
        return os.readlink(f"/proc/{pid}/exe") == str(program)
    except OSError:
        return False


def test_it_is_found_and_read(pids: list[int], tmp_path: Path) -> None:
    mine = [one for one in running() if one.pid in pids]
    assert sorted(one.pid for one in mine) == sorted(pids)
    (found,) = find(None, mine)
    assert (found.version, found.seen, found.replicas, set(found.processes)) == ("12.1.0", Seen.SQLITE, 2, set(pids))
    shop, till = found.sources
    assert (shop.name, shop.limits.max_open.value) == ("Shop", 20)
    assert shop.limit_place == Place(f"{tmp_path}/provisioning/datasources/shop.yaml", 7)
    assert till.limits.max_open.value == 33
    assert till.limits.max_open.origin.endswith("GF_SQL_DATASOURCES_MAX_OPEN_CONNS_DEFAULT in the environment")
    assert found.may_take() == 2 * (20 + 33)
    assert "s3cr3tW0rd" not in repr(found)


def test_a_watch_reads_its_files_seldom(monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[tuple[int, ...]] = []

    def look(processes: Sequence[Process]) -> GrafanaFacts:
        read.append(tuple(one.pid for one in processes))
        return GrafanaFacts()

    monkeypatch.setattr("pgusher.collect.grafana.look", look)
    looker = Looker(Request())
    one, other = (Process(pid, 1, 1, 1, "grafana", 0, exe="/usr/bin/grafana") for pid in (7, 8))
    looker._grafana([Process(9, 1, 1, 1, "python3", 0)], 0.0)
    assert read == []
    for now in (0.0, 10.0, 29.0, 31.0):
        looker._grafana([one], now)
    assert read == [(7,), (7,)]
    looker._grafana([other], 32.0)
    assert read[2:] == [(8,)]
