"""grafana.ini, and what stands above it."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from pgusher.collect.grafana.ini import defaults, options, own_database, read_file, settings
from pgusher.model.evidence import Certainty
from pgusher.model.grafana import Figure

INI = '''
# a comment
[paths]
;provisioning = conf/provisioning
provisioning = /srv/p
[database]
type: postgres
host = db1:6432
name = "grafana"
user = graf
password = """s3cr3tW0rd"""
max_open_conn = 0
max_idle_conn = 5
[sql_datasources]
;max_open_conns_default = 100
max_open_conns_default = 20
max_idle_conns_default = many
'''
SQL = "sql_datasources", "max_open_conns_default"


def test_what_is_set_has_its_place() -> None:
    found = read_file(INI, "/etc/grafana.ini")
    assert (found[SQL].value, found[SQL].place) == ("20", "/etc/grafana.ini:16")
    assert found["paths", "provisioning"].value == "/srv/p"
    assert "s3cr3tW0rd" not in repr(found)
    assert defaults(found) == {"max_open_conns_default": Figure(20, "max_open_conns_default in /etc/grafana.ini:16")}


def test_what_stands_above_what() -> None:
    words = options(["grafana", "server", "--config=/x", "cfg:default.sql_datasources.max_open_conns_default=1"])
    assert settings("", "", words, {})[SQL].value == "1"
    assert settings(INI, "x", words, {})[SQL].value == "20"
    environment = {"GF_SQL_DATASOURCES_MAX_OPEN_CONNS_DEFAULT": "30", "GF_DATABASE_PASSWORD": "s3cr3tW0rd"}
    found = settings(INI, "x", words, environment)
    assert (found[SQL].value, found[SQL].place) == (
        "30",
        "GF_SQL_DATASOURCES_MAX_OPEN_CONNS_DEFAULT in the environment",
    )
    assert "s3cr3tW0rd" not in repr(found)
    words["cfg:sql_datasources.max_open_conns_default"] = "40"
    assert settings(INI, "x", words, environment)[SQL].value == "40"


def test_options_with_and_without_an_equals_sign() -> None:
    assert options(["grafana", "server", "--homepath", "/usr/share/grafana", "-config=/a", "x"]) == {
        "homepath": "/usr/share/grafana",
        "config": "/a",
    }


def test_the_pool_for_its_own_tables() -> None:
    own = own_database(read_file(INI, "x"))
    assert own is not None
    assert (own.host, own.port, own.database, own.user) == ("db1", 6432, "grafana", "graf")
    assert (own.max_open.value, own.max_idle.value, own.lifetime.value) == (None, 5, 14400)
    assert (own.max_open.default, own.lifetime.default) == (False, True)
    assert own_database(read_file("[database]\ntype = mysql", "x")) is None
    assert own_database({}) is None


def test_its_url_is_read_without_the_password() -> None:
    text = "[database]\nurl = postgres://graf:s3cr3tW0rd@db2:5433/grafdb?sslmode=require\n"
    own = own_database(read_file(text, "x"))
    assert own is not None
    assert (own.host, own.port, own.database, own.user) == ("db2", 5433, "grafdb", "graf")
    assert "s3cr3tW0rd" not in repr(own)
    socket = own_database(read_file("[database]\ntype = postgres\nhost = /run/postgresql\n", "x"))
    assert socket is not None
    assert (socket.host, socket.socket_dir, socket.max_open.value) == (None, "/run/postgresql", None)


LINES = st.lists(st.sampled_from([*INI.splitlines(), "[database", "url = postgres://@", "=", "a==b"])).map("\n".join)


@given(st.one_of(st.text(), LINES), st.lists(st.text()))
def test_no_file_and_no_command_line_raises(content: str, argv: list[str]) -> None:
    found = settings(content, "x", options(argv), {})
    defaults(found)
    own_database(found)


def test_a_default_that_a_variable_sets_is_not_known() -> None:
    said = "[sql_datasources]\nmax_open_conns_default = $__env{MOST}\nmax_idle_conns_default = lots\n"
    found = defaults(settings(said, "/g.ini", {}, {}))
    assert list(found) == ["max_open_conns_default"]
    most = found["max_open_conns_default"]
    assert (most.value, most.default, most.certainty) == (100, True, Certainty.LIKELY)
    assert most.origin == "default of 9.5 on, max_open_conns_default in /g.ini:2 is set by a variable"
