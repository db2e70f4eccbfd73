"""The ceilings by the server's files are those of the running server; its parser and ours agree."""

from __future__ import annotations

import os
import random
import shutil

import psycopg
import pytest

from pgusher.collect.postgres.conf import parse_conf
from pgusher.collect.postgres.files import configured_port, read_ceilings
from pgusher.collect.postgres.postmaster import Postmaster, read_postmaster
from pgusher.demo.server import EmbeddedServer
from pgusher.model.evidence import Certainty
from tests.bed.requirements import each_version, needs_root
from tests.collect.postgres.common import as_nobody, found
from tests.conftest import NewServer


def postmaster_of(server: EmbeddedServer) -> Postmaster:
    postmaster = read_postmaster(server.postmaster_pid)
    assert postmaster is not None
    return postmaster


def write(path: str, text: str, like: str) -> None:
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)
    if os.geteuid() == 0:
        there = os.stat(like)
        os.chown(path, there.st_uid, there.st_gid)


@each_version
class TestTheRunningServer:
    def test_pg_control_has_its_max_connections(self, server: EmbeddedServer) -> None:
        ceilings, gaps = read_ceilings(postmaster_of(server), found(server).started or 0)
        assert ceilings is not None
        assert (ceilings.max_connections, ceilings.superuser_reserved, ceilings.reserved) == (40, 3, 0)
        assert (ceilings.certainty, ceilings.source) == (Certainty.LIKELY, "pg_control")
        assert [gap.why for gap in gaps] == ["they are in no file"]

    def test_what_is_in_the_files_but_not_in_force_is_told(self, server: EmbeddedServer) -> None:
        """max_connections needs a restart: pg_control has the value that counts, the file another."""
        with psycopg.connect(server.dsn(), autocommit=True) as admin:
            admin.execute("alter system set max_connections = 77")
            admin.execute("alter system set superuser_reserved_connections = 9")
            try:
                ceilings, _ = read_ceilings(postmaster_of(server), found(server).started or 0)
            finally:
                admin.execute("alter system reset all")
        assert ceilings is not None
        assert ceilings.max_connections == 40
        assert ceilings.certainty is Certainty.GUESSED
        assert ceilings.source.endswith("postgresql.auto.conf (changed after the server's start), pg_control")

    @needs_root
    def test_nobody_is_told_what_would_open_it(self, server: EmbeddedServer) -> None:
        with as_nobody():
            ceilings, gaps = read_ceilings(postmaster_of(server), found(server).started or 0)
        assert ceilings is None
        (gap,) = [gap for gap in gaps if gap.why == "permission denied"]
        assert "root" in gap.opens

    def test_without_pg_control_the_files_are_read(self, server: EmbeddedServer, tmp_path: str) -> None:
        copy = os.path.join(tmp_path, "data")
        os.mkdir(copy)
        for name in ("postgresql.conf", "postgresql.auto.conf"):
            shutil.copy(os.path.join(server.data_dir, name), copy)
        stopped = Postmaster(0, 0, 0, ("postgres", "-D", copy))
        ceilings, _ = read_ceilings(stopped, 2**60)
        assert ceilings is not None
        assert ceilings.max_connections == 40
        assert ceilings.source == f"{copy}/postgresql.conf"


FILES = {
    "postgresql.conf": """
max_connections = 11          # overridden below
include 'more.conf'
Include_If_Exists = 'not there.conf'
include_dir 'conf.d'
port 5999
""",
    "more.conf": "max_connections '0x10'\nsuperuser_reserved_connections = 2\n",
    "conf.d/10.conf": "max_connections = 21\ninclude '../deeper.conf'\n",
    "conf.d/9.conf": "max_connections = 22\n",
    "conf.d/.hidden.conf": "max_connections = 98\n",
    "conf.d/old.conf.bak": "max_connections = 99\n",
    "deeper.conf": "reserved_connections = 1\n",
    "postgresql.auto.conf": "superuser_reserved_connections = '4'\n",
}


def data_of(directory: str, files: dict[str, str]) -> str:
    for name, text in files.items():
        path = os.path.join(directory, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
    return directory


def stopped(directory: str, *options: str) -> Postmaster:
    return Postmaster(0, 0, 0, ("postgres", "-D", directory, *options))


class TestIncludes:
    def test_a_later_value_wins_in_the_order_of_the_server(self, tmp_path: str) -> None:
        ceilings, gaps = read_ceilings(stopped(data_of(str(tmp_path), FILES)), 2**60)
        assert ceilings is not None
        assert (ceilings.max_connections, ceilings.superuser_reserved, ceilings.reserved) == (22, 4, 1)
        assert ceilings.certainty is Certainty.LIKELY
        assert len(gaps) == 1
        assert configured_port(stopped(str(tmp_path))) == 5999

    def test_the_command_line_stands_above_all_files(self, tmp_path: str) -> None:
        options = ("-N", "5", "--superuser-reserved-connections=1", "-p", "6001")
        ceilings, _ = read_ceilings(stopped(data_of(str(tmp_path), FILES), *options), 2**60)
        assert ceilings is not None
        assert (ceilings.max_connections, ceilings.superuser_reserved) == (5, 1)
        assert "the command line" in ceilings.source
        assert configured_port(stopped(str(tmp_path), *options)) == 6001

    def test_another_main_file(self, tmp_path: str) -> None:
        data_of(
            str(tmp_path),
            {
                "etc/x.conf": f"data_directory = '{tmp_path}/data'\n",
                "data/postgresql.auto.conf": "max_connections = 8\n",
            },
        )
        ceilings, _ = read_ceilings(
            Postmaster(0, 0, 0, ("postgres", "-c", f"config_file={tmp_path}/etc/x.conf")), 2**60
        )
        assert ceilings is not None
        assert ceilings.max_connections == 8

    @pytest.mark.parametrize(
        ("files", "why"),
        [
            ({"postgresql.conf": "include 'postgresql.conf'\n"}, "files include each other"),
            ({"postgresql.conf": "include 'gone.conf'\n"}, "no such file or directory"),
            ({"postgresql.conf": "include_dir 'gone'\n"}, "no such file or directory"),
            ({"postgresql.conf": "max_connections = 'open\n"}, "syntax error"),
            ({"postgresql.conf": "%%%\nmax_connections = 7\n"}, "syntax error"),
        ],
    )
    def test_what_cannot_be_read_is_a_gap(self, tmp_path: str, files: dict[str, str], why: str) -> None:
        ceilings, gaps = read_ceilings(stopped(data_of(str(tmp_path), files)), 2**60)
        assert [gap.why for gap in gaps][1:] == [why]
        assert ceilings is None or ceilings.certainty is Certainty.GUESSED

    def test_no_place_at_all(self) -> None:
        ceilings, gaps = read_ceilings(Postmaster(0, 0, 0, ("postgres",)), 0)
        assert ceilings is None
        assert gaps[1].why == "its place is not known"
        assert configured_port(Postmaster(0, 0, 0, ("postgres",))) is None

    @pytest.mark.parametrize("port", ["0", "65536", "x", ""])
    def test_no_port(self, tmp_path: str, port: str) -> None:
        assert configured_port(stopped(str(tmp_path), f"--port={port}")) is None

    def test_a_value_that_is_none_leaves_doubt(self, tmp_path: str) -> None:
        files = {"postgresql.conf": "max_connections = many\nsuperuser_reserved_connections = -1\n"}
        ceilings, _ = read_ceilings(stopped(data_of(str(tmp_path), files)), 2**60)
        assert ceilings is not None
        assert ceilings.certainty is Certainty.GUESSED


WORDS = [
    *(
        "work_mem",
        "Work_Mem",
        "a.b",
        "max_connections",
        "=",
        "==",
        "'",
        "''",
        "x",
        "on",
        "0x10",
        "12MB",
        "-1.5e3",
        "1e3",
    ),
    *(
        "#",
        " ",
        "\t",
        "'it''s'",
        r"'a\'b'",
        r"'\101\n'",
        "'#'",
        "*",
        "/x",
        "C:/x",
        "a-b",
        "é",
        "1a",
        ".",
        "+5",
        "'é'",
        "$",
    ),
    *("a.b.c", "0X10", "08", "1.5MB", "'open", "a=1", "include", "include_dir", "_x", "a..b", "'' ''", "-", "a:b"),
]


@pytest.mark.parametrize("major", [18, 15, 13])
def test_our_parser_and_the_server_s_own_agree(new_server: NewServer, major: int) -> None:
    """pg_file_settings shows how the server reads a file; each file holds one line that nobody ever wrote."""
    server = new_server(major)
    generator = random.Random(major)
    with psycopg.connect(server.dsn(), autocommit=True) as admin:
        path = os.path.join(server.data_dir, "tested.conf")
        main = os.path.join(server.data_dir, "postgresql.conf")
        with open(main, "a", encoding="utf-8") as file:
            file.write("include 'tested.conf'\n")
        for _ in range(500):
            line = "".join(generator.choice(WORDS) for _ in range(generator.randint(1, 6)))
            write(path, line, main)
            rows = admin.execute(
                "select name, setting, error from pg_catalog.pg_file_settings where sourcefile = %s", (path,)
            ).fetchall()
            conf = parse_conf(line)
            wrong = any((error or "").startswith("syntax error") for *_, error in rows)
            assert wrong == bool(conf.wrong), (line, rows)
            if not wrong and rows and not any(item.name.startswith("include") for item in conf.items):
                assert [(item.name, item.value) for item in conf.items] == [
                    (name.lower(), setting) for name, setting, _ in rows
                ], line
        write(path, "", main)
