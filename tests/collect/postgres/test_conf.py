"""postgresql.conf is read as PostgreSQL reads it: tests/collect/postgres/test_files.py asks PostgreSQL itself."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pgusher.collect.postgres.conf import Conf, Item, as_integer, parse_conf, parse_options


@pytest.mark.parametrize(
    ("line", "name", "value"),
    [
        ("max_connections = 100", "max_connections", "100"),
        ("max_connections=100", "max_connections", "100"),
        ("max_connections 100", "max_connections", "100"),
        ("\t max_connections\t=\t100 # comment\r", "max_connections", "100"),
        ("Max_Connections = '100'", "max_connections", "100"),
        ("max_connections = 0x64", "max_connections", "0x64"),
        ("a = 'it''s'", "a", "it's"),
        (r"a = 'it\'s'", "a", "it's"),
        (r"a = '\101\n\\\z'", "a", "A\n\\z"),
        ("a = '# no comment'", "a", "# no comment"),
        ("a = ''", "a", ""),
        ("a = on#comment", "a", "on"),
        ("shared_buffers = 128MB", "shared_buffers", "128MB"),
        ("a = -1.5", "a", "-1.5"),
        ("listen_addresses = *", None, None),
        ("data = /var/lib", None, None),
        ("data = C:/x-y.z_1", "data", "C:/x-y.z_1"),
        ("pg_stat.max = 5", "pg_stat.max", "5"),
        ("include_dir 'conf.d'", "include_dir", "conf.d"),
        ("a", None, None),
        ("a = 1 2", None, None),
        ("a == 1", None, None),
        ("= 1", None, None),
        ("'a' = 1", None, None),
        ("a = 'open", None, None),
        ("1a = 1", None, None),
        ("a - 1", None, None),
    ],
)
def test_one_line(line: str, name: str | None, value: str | None) -> None:
    conf = parse_conf(line)
    if name is None:
        assert conf == Conf((), (1,))
    else:
        assert value is not None
        assert conf == Conf((Item(name, value, 1),), ())


def test_empty_lines_and_comments_are_nothing_and_lines_are_counted() -> None:
    conf = parse_conf("# one\n\n  # three\nport = 1\n%\nport = 2")
    assert conf == Conf((Item("port", "1", 4), Item("port", "2", 6)), (5,))


@pytest.mark.parametrize(
    ("value", "number"),
    [
        ("100", 100),
        (" 100 ", 100),
        ("0x64", 100),
        ("0144", 100),
        ("99.6", 100),
        ("-1", -1),
        ("1e2", None),
        ("", None),
        ("x", None),
        ("100MB", None),
        ("09", 9),
        (".", None),
        ("9" * 400, None),
        ("٣", None),
    ],
)
def test_an_integer(value: str, number: int | None) -> None:
    assert as_integer(value) == number


@pytest.mark.parametrize(
    ("words", "options"),
    [
        ("-D /data", {"-D": "/data"}),
        ("-D/data -p5433", {"-D": "/data", "port": "5433"}),
        ("-c max_connections=7 --superuser-reserved-connections=2", {"max_connections": "7"}),
        ("-N 9 -c max_connections=7", {"max_connections": "7"}),
        ("-k /run -h *", {"unix_socket_directories": "/run", "listen_addresses": "*"}),
        ("-iF -c x", {}),
        ("-D", {"-D": ""}),
        ("- -- plain", {}),
        ("-ic port=1", {"port": "1"}),
    ],
)
def test_a_command_line(words: str, options: dict[str, str]) -> None:
    found = parse_options(["postgres", *words.split(" ")])
    assert {key: value for key, value in found.items() if key != "superuser_reserved_connections"} == options
    assert found.get("superuser_reserved_connections") == ("2" if "superuser" in words else None)


@settings(max_examples=2000)
@given(st.one_of(st.text(), st.text("ab ='\\\"#\n\t0.x-/:é$")))
def test_no_text_raises(text: str) -> None:
    conf = parse_conf(text)
    assert len(conf.items) + len(conf.wrong) <= text.count("\n") + 1


@given(st.lists(st.text("-cDpNk=x 1\0é\ud800")))
def test_no_command_line_raises(words: list[str]) -> None:
    parse_options(words)


@given(st.text())
def test_no_value_raises(text: str) -> None:
    as_integer(text)
