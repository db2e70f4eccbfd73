"""A Grafana by its files and its database, as its process sees them. The files are made here, as its documents tell."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from pgusher.app.panels import read_saved
from pgusher.collect.grafana.host import of_files, places_of, read_host
from pgusher.model.grafana import Place, Seen
from pgusher.model.process import Process
from tests.bed.requirements import needs_root
from tests.collect.grafana.test_sqlite import ROW, make

INI = "[sql_datasources]\nmax_open_conns_default = 30\n[database]\npassword = s3cr3tW0rd\n"
SHOP = """\
datasources:
  - name: Shop
    uid: u1
    type: postgres
    url: /run/postgresql
    jsonData:
      maxOpenConns: 20
"""
FILE = "/etc/grafana/provisioning/datasources/shop.yaml"


class Disk:
    """What two processes of one host see."""

    def __init__(self, path: Path) -> None:
        self.proc = path
        for pid in (42, 43):
            self.add(pid)

    def add(self, pid: int) -> Path:
        root = self.proc / str(pid) / "root"
        for name in ("etc/grafana/provisioning/datasources", "usr/share/grafana", "var/lib/grafana"):
            (root / name).mkdir(parents=True)
        (root / "usr/share/grafana/VERSION").write_text("12.1.0\n")
        (root / "etc/grafana/grafana.ini").write_text(INI)
        (root / FILE[1:]).write_text(SHOP)
        (root.parent / "environ").write_bytes(b"HOME=/x\0GF_DATABASE_PASSWORD=s3cr3tW0rd\0")
        return root

    def database(self, pid: int) -> None:
        connection = make(self.proc / str(pid) / "root/var/lib/grafana/grafana.db")
        connection.execute("update data_source set read_only = 1 where uid = 'u1'")
        connection.execute(ROW, (2, "postgres", "Shop", "{}", 0, "u1"))
        connection.close()


def process(pid: int, *words: str) -> Process:
    argv = ("/usr/share/grafana/bin/grafana", "server", *words)
    return Process(pid, 1, 1, 1, "grafana", 472, argv=argv, exe="/usr/share/grafana/bin/grafana")


@pytest.fixture
def disk(tmp_path: Path) -> Disk:
    return Disk(tmp_path)


def test_by_its_files(disk: Disk) -> None:
    (found,) = read_host([process(42), Process(9, 1, 1, 1, "cron", 0, argv=("cron",))], str(disk.proc))
    (shop,) = found.sources
    assert (found.version, found.seen, found.processes, found.name) == (
        "12.1.0",
        Seen.FILES,
        (42,),
        "/etc/grafana/grafana.ini",
    )
    assert (shop.socket_dir, shop.read_only, shop.place, shop.limit_place) == (
        "/run/postgresql",
        True,
        Place(FILE, 2),
        Place(FILE, 7),
    )
    assert (shop.limits.max_open.value, shop.limits.max_open.origin) == (20, f"{FILE}:7")
    assert [gap.why for gap in found.gaps] == ["no /var/lib/grafana/grafana.db"]
    assert "s3cr3tW0rd" not in repr(found)


def test_by_its_database_with_the_file_that_each_comes_from(disk: Disk) -> None:
    disk.database(42)
    (found,) = read_host([process(42)], str(disk.proc))
    assert (found.seen, found.gaps) == (Seen.SQLITE, ())
    assert [(one.org, one.name, one.read_only, one.place is not None) for one in found.sources] == [
        (1, "Shop", True, True),
        (2, "Shop", False, False),
        (2, "Till", True, False),
    ]
    shop, copy, _ = found.sources
    assert (shop.limits.max_open.origin, shop.version) == (f"{FILE}:7", 3)
    assert (copy.limits.max_open.value, copy.limits.max_open.origin) == (
        30,
        "max_open_conns_default in /etc/grafana/grafana.ini:2",
    )
    assert found.may_take() == 20 + 30 + 30


def test_processes_with_the_same_data_sources_are_replicas(disk: Disk) -> None:
    (found,) = read_host([process(42), process(43)], str(disk.proc))
    assert (found.replicas, found.replicas_from, found.processes, found.may_take()) == (2, "2 processes", (42, 43), 40)
    (disk.proc / "43/root" / FILE[1:]).write_text(SHOP.replace("20", "25"))
    assert [one.may_take() for one in read_host([process(42), process(43)], str(disk.proc))] == [20, 25]


def test_the_environment_of_its_image_says_where_things_are(disk: Disk) -> None:
    root = disk.proc / "42/root"
    os.rename(root / "etc/grafana", root / "etc/other")
    (root.parent / "environ").write_bytes(
        b"GF_PATHS_CONFIG=/etc/other/grafana.ini\0GF_PATHS_PROVISIONING=/etc/other/provisioning\0"
        b"GF_SQL_DATASOURCES_MAX_OPEN_CONNS_DEFAULT=8\0GF_DATABASE_TYPE=postgres\0GF_DATABASE_HOST=db9:5432\0"
    )
    (found,) = read_host([process(42)], str(disk.proc))
    assert (found.name, [one.name for one in found.sources]) == ("/etc/other/grafana.ini", ["Shop"])
    assert found.default_open is not None
    assert found.default_open.value == 8
    assert found.own is not None
    assert (found.own.host, found.own.max_open.value) == ("db9", None)
    assert [gap.why for gap in found.gaps] == ["they are in its postgres database"]


def test_what_is_torn_is_a_gap(disk: Disk) -> None:
    root = disk.proc / "42/root"
    (root / "etc/grafana/provisioning/datasources/a.yml").write_text("datasources: [\n")
    (root / "usr/share/grafana/VERSION").write_bytes(b"\xff\x1b[2J")
    (root / "var/lib/grafana/grafana.db").write_bytes(b"SQLite format 3\0" + b"x" * 5000)
    (found,) = read_host([process(42)], str(disk.proc))
    assert [gap.what.rpartition("/")[2] for gap in found.gaps] == ["a.yml", "grafana.db"]
    assert [one.name for one in found.sources] == ["Shop"]


def test_what_is_too_much_is_a_gap(disk: Disk) -> None:
    directory = disk.proc / "42/root/etc/grafana/provisioning/datasources"
    (directory / "large.yaml").write_text(SHOP + "#" * 300_000)
    for number in range(100):
        (directory / f"n{number:03}.yaml").write_text("datasources: []\n")
    (found,) = read_host([process(42)], str(disk.proc))
    told = [(gap.what.rpartition("/")[2], gap.why) for gap in found.gaps]
    assert ("large.yaml", "it is over 256 KiB") in told
    assert found.gaps[0].what == "2 of 102 files in /etc/grafana/provisioning/datasources"


def test_a_process_that_is_gone(tmp_path: Path) -> None:
    (found,) = read_host([process(7)], str(tmp_path))
    assert (found.sources, found.version) == ((), None)


def test_one_that_does_not_run(disk: Disk) -> None:
    found = of_files(str(disk.proc / "42/root"))
    assert ([one.name for one in found.sources], found.processes, found.replicas_from) == (
        ["Shop"],
        (),
        "one is assumed",
    )


@needs_root
def test_without_rights_it_says_what_would_open_it(disk: Disk) -> None:
    root = disk.proc / "42/root"
    (root / "etc/grafana/grafana.ini").chmod(0)
    (root.parent / "environ").chmod(0)
    disk.database(42)
    (root / "var/lib/grafana/grafana.db").chmod(0)
    for path in (disk.proc, *disk.proc.parents):
        if "pytest" in str(path):
            path.chmod(0o755)
    os.seteuid(65534)
    try:
        (found,) = read_host([process(42)], str(disk.proc))
    finally:
        os.seteuid(0)
    assert {gap.opens for gap in found.gaps} == {"run pgusher as root"}
    assert len(found.gaps) == 3


@pytest.mark.parametrize(
    ("database", "elsewhere"),
    [
        ("type = postgres", "postgres"),
        ("url = mysql://u:s3cr3tW0rd@h/grafana", "mysql"),
        ("url = unheard-of://h", "own"),
        ("type = sqlite3", ""),
        ("", ""),
    ],
)
def test_where_it_keeps_its_dashboards(disk: Disk, database: str, elsewhere: str) -> None:
    (disk.proc / "42/root/etc/grafana/grafana.ini").write_text(f"[database]\n{database}\n")
    assert places_of(process(42), str(disk.proc))[3] == elsewhere


def test_dashboards_in_a_database_of_its_own_are_a_gap_and_files_are_read(disk: Disk) -> None:
    root = disk.proc / "42/root"
    (root / "etc/grafana/grafana.ini").write_text("[database]\ntype = postgres\n")
    (root / "etc/grafana/provisioning/alerting").mkdir()
    rule = '{"groups": [{"rules": [{"title": "Late", "data": [{"refId": "A", "model": {"rawSql": "select late"}}]}]}]}'
    (root / "etc/grafana/provisioning/alerting/shop.json").write_text(rule)
    facts = read_saved(None, [process(42)], str(disk.proc))
    assert [one.sql for one in facts.panels] == ["select late"]
    assert [(gap.why, gap.opens) for gap in facts.gaps] == [
        ("they are in its postgres database", "PGUSHER_GRAFANA_URL and a token")
    ]
