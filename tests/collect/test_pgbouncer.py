"""PgBouncer's configuration as PgBouncer reads it, and nothing of it that is secret."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pgusher.collect.pgbouncer import Wrong, is_pgbouncer, look, read
from pgusher.model.poolers import PoolerDatabase, PoolerUser
from pgusher.model.process import Process

INI = """
;; a comment
[databases]
shop = host=127.0.0.1 port=6000 dbname=shop_live user=web password='hunt er2' pool_size=5
* = host=/run/postgresql
%include more.ini
[pgbouncer]
default_pool_size = 15
reserve_pool_size=3
max_db_connections = 40
max_client_conn = lots
[users]
web = pool_mode=session
"""


def test_databases_and_sizes_are_read_and_no_password(tmp_path: Path) -> None:
    (tmp_path / "a.ini").write_text(INI)
    (tmp_path / "more.ini").write_text("late = host=h max_db_connections=9\n")
    found = read("/", str(tmp_path / "a.ini"), 7)
    assert found.databases == (
        PoolerDatabase("shop", "127.0.0.1", 6000, "shop_live", "web", 5, line=4),
        PoolerDatabase("*", None, 5432, None, line=5),
        PoolerDatabase("late", "h", 5432, None, most=9, line=1),
    )
    assert (found.default_pool_size, found.reserve, found.most, found.size_line) == (15, 3, 40, 8)
    assert found.users == (PoolerUser("web", line=13),)
    assert "er2" not in repr(found)


def test_settings_of_users_are_read(tmp_path: Path) -> None:
    (tmp_path / "a.ini").write_text(
        "[users]\nweb = pool_size=4 max_user_connections=9\nx = pool_size=-1 reserve_pool_size=2\n"
    )
    found = read("/", str(tmp_path / "a.ini"), 7).users
    assert found == (PoolerUser("web", 4, None, 9, 2), PoolerUser("x", None, 2, None, 3))


def process(pid: int, *argv: str, cwd: str | None = "/") -> Process:
    return Process(pid, 0, 0, 1, "pgbouncer", 0, argv=argv, exe="/usr/sbin/pgbouncer", cwd=cwd)


def test_what_cannot_be_read_is_a_gap(tmp_path: Path) -> None:
    (tmp_path / "a.ini").write_text(INI)
    me = os.getpid()
    other = Process(2, 0, 0, 1, "bash", 0, argv=("bash", "pgbouncer.ini"))
    here = process(me, "pgbouncer", "-d", "a.ini", cwd=str(tmp_path))
    found = look([here, process(me, "pgbouncer", "/none.ini"), process(me, "pgbouncer"), other])
    assert [one.file for one in found.poolers] == [f"{tmp_path}/a.ini"]
    assert [gap.why for gap in found.gaps] == [
        f"{tmp_path}/more.ini: no such file or directory",
        "no such file or directory",
        "its command line names none",
    ]
    assert not is_pgbouncer(Process(2, 0, 0, 1, "x", 0, argv=("/usr/bin/vim", "pgbouncer")))


def test_a_file_that_includes_itself_ends(tmp_path: Path) -> None:
    (tmp_path / "a.ini").write_text("[databases]\na = host=h\n%include a.ini\n")
    assert 1 <= len(read("/", str(tmp_path / "a.ini")).databases) <= 10


def test_names_in_quotes_and_includes_beside_a_bare_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.ini").write_text('[databases]\n"my ""db" = host=h pool_size=10000000\n%include b.ini\n')
    (tmp_path / "b.ini").write_text("b = host=h\n")
    assert [(one.name, one.pool_size) for one in read("/", "a.ini").databases] == [('my "db', 10_000_000), ("b", None)]


@pytest.mark.parametrize(
    ("text", "place", "why"),
    [
        ("[databases]\na = pool_size=abc", "a.ini:2", "pool_size: expected a number, got abc"),
        ("[users]\na = max_user_connections=4x", "a.ini:2", "max_user_connections: expected a number, got 4x"),
        (
            "[pgbouncer]\ndefault_pool_size = 40 ; x",
            "a.ini:2",
            "default_pool_size: expected a number, got 40 ; x",
        ),
        ("[databases]\n%include none.ini", "a.ini:2", "{}/none.ini: no such file or directory"),
        ("[databases]\n\na host=h", "a.ini:3", "it is no setting"),
        ("[databases]\n%include b.ini", "b.ini:1", "reserve_pool: expected a number, got x"),
    ],
)
def test_what_makes_no_sense_is_told_with_its_place(tmp_path: Path, text: str, place: str, why: str) -> None:
    (tmp_path / "a.ini").write_text(text)
    (tmp_path / "b.ini").write_text("b = host=h reserve_pool=x\n")
    wrong: list[Wrong] = []
    read("/", str(tmp_path / "a.ini"), wrong=wrong)
    assert [(one.place, one.why) for one in wrong] == [(f"{tmp_path}/{place}", why.format(tmp_path))]
    found = look([process(os.getpid(), "pgbouncer", str(tmp_path / "a.ini"))])
    assert [gap.why for gap in found.gaps] == [why.format(tmp_path)]


@given(st.text(alphabet="[]=%;#'\n abp_size0159ü\x1b", max_size=200))
def test_any_file_is_read(text: str) -> None:
    path = Path(os.environ.get("TMPDIR", "/tmp")) / f"pgusher-test-{os.getpid()}.ini"
    path.write_text("[databases]\n" + text, encoding="utf-8")
    try:
        read("/", str(path))
    finally:
        path.unlink()
