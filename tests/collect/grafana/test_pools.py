"""What Grafana's files say of its limits. The tests write them, in the form that its documents tell."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from pgusher.collect.grafana import is_grafana, look
from pgusher.model.pools import PoolLimit
from pgusher.model.process import Process
from tests.bed.requirements import needs_root

INI = (
    """
# a comment
[paths]
;provisioning = conf/provisioning
provisioning = {provisioning}
[database]
password = """
    '"""s3cr3tW0rd"""'
    """
[sql_datasources]
;max_open_conns_default = 100
max_open_conns_default = 20
"""
)
YAML = """
apiVersion: 1
deleteDatasources:
  - name: Old
    orgId: 1
datasources:
  - name: Orders   # the shop
    type: postgres
    url: db1:5432
    secureJsonData:
      password: 's3cr3tW0rd'
    jsonData:
      database: orders
      maxOpenConns: 15
  - name: "Machines"
    type: grafana-postgresql-datasource
  - name: Metrics
    type: prometheus
    jsonData:
      maxOpenConns: 7
"""


def grafana(pid: int, *argv: str, exe: str = "/usr/share/grafana/bin/grafana") -> Process:
    return Process(pid, 1, 1, 1, "grafana", 472, argv=argv or ("grafana", "server"), exe=exe)


@pytest.fixture
def proc(tmp_path: Path) -> Path:
    root = tmp_path / "42" / "root"
    (root / "etc/grafana/provisioning/datasources").mkdir(parents=True)
    (root / "etc/grafana/grafana.ini").write_text(INI.replace("{provisioning}", "/etc/grafana/provisioning"))
    (root / "etc/grafana/provisioning/datasources/shop.yaml").write_text(YAML)
    (root / "etc/grafana/provisioning/datasources/notes.txt").write_text(YAML)
    return tmp_path


def test_what_the_process_sees_is_read(proc: Path) -> None:
    facts = look([grafana(42), Process(43, 1, 1, 1, "python3", 0, argv=("python3", "x.py"))], str(proc))
    where = "/etc/grafana/provisioning/datasources/shop.yaml"
    assert facts.pools == (
        PoolLimit(42, "Grafana", "maxOpenConns", 20, where, 0, "Machines"),
        PoolLimit(42, "Grafana", "maxOpenConns", 15, where, 14, "Orders"),
    )
    assert [gap.what for gap in facts.gaps] == ["data sources that were made in its pages"]
    assert "s3cr3tW0rd" not in repr(facts)


def test_the_command_line_names_other_files(proc: Path) -> None:
    root = proc / "42/root"
    os.rename(root / "etc/grafana/grafana.ini", root / "etc/other.ini")
    argv = ("grafana", "server", "--config=/etc/other.ini", "cfg:paths.provisioning=/etc/nothing")
    assert [pool.limit for pool in look([grafana(42, *argv)], str(proc)).pools] == [20]


def test_without_files_there_is_nothing_and_no_gap(tmp_path: Path) -> None:
    assert look([grafana(42)], str(tmp_path)).pools == ()
    assert [gap.opens for gap in look([grafana(42)], str(tmp_path)).gaps] == ["PGUSHER_GRAFANA_URL and a token"]


def test_a_fifo_in_the_place_of_a_file_is_a_gap_and_not_waited_for(proc: Path) -> None:
    path = proc / "42/root/etc/grafana/provisioning/datasources/a.yaml"
    os.mkfifo(path)
    assert "not a regular file" in [gap.why for gap in look([grafana(42)], str(proc)).gaps]


@needs_root
def test_a_file_that_may_not_be_read_is_a_gap(proc: Path) -> None:
    path = proc / "42/root/etc/grafana/provisioning/datasources/shop.yaml"
    path.chmod(0)
    for each in (proc, *(parent for parent in path.parents if proc in parent.parents), *proc.parents):
        if each.stat().st_uid == os.geteuid() and "pytest" in str(each):
            each.chmod(0o755)
    os.seteuid(65534)
    try:
        facts = look([grafana(42)], str(proc))
    finally:
        os.seteuid(0)
    assert [gap.opens for gap in facts.gaps if gap.why == "permission denied"] == ["run pgusher as root"]


@pytest.mark.parametrize(
    ("exe", "argv", "expected"),
    [
        ("/usr/sbin/grafana-server", (), True),
        (None, ("/usr/bin/grafana", "server"), True),
        ("/usr/bin/python3", ("python3", "grafana.py"), False),
        ("/var/lib/grafana/plugins/gpx_grafana_postgresql_datasource_linux_amd64", (), False),
        (None, (), False),
    ],
)
def test_which_process_reads_them(exe: str | None, argv: tuple[str, ...], expected: bool) -> None:
    assert is_grafana(Process(1, 1, 1, 1, "x", 0, argv=argv, exe=exe)) is expected
