"""Provisioning files, by PyYAML and without it: the usual way of writing is read alike by both."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pgusher.collect.grafana import provisioning
from pgusher.collect.grafana.provisioning import Entry, YamlError, by_form, read

YAML = """\
apiVersion: 1
deleteDatasources:
  - name: Old
    orgId: 1
datasources:
  - name: Orders   # the shop
    type: postgres
    url: db1:5432
    user: grafana
    orgId: 2
    secureJsonData:
      password: 's3cr3tW0rd'
    jsonData:
      database: orders
      maxOpenConns: 15
      connMaxLifetime: 0 # for ever
    editable: true
  - name: "Machines"
    type: grafana-postgresql-datasource
    uid: pg-m
  - name: Metrics
    type: prometheus
    jsonData:
      maxOpenConns: 7
"""
FLAT = """\
datasources:
- name: Shop
  type: postgres
  jsonData:
    sslmode: disable
- access: proxy
  name: 'Till'
  type: postgres
  database: till
"""
READERS = pytest.mark.parametrize("reader", [read, lambda text: list(by_form(text))], ids=["yaml", "form"])


@READERS
def test_each_data_source_with_its_lines(reader: Callable[[str], list[Entry]]) -> None:
    orders, machines, metrics = reader(YAML)
    assert orders.told == {
        "name": "Orders", "type": "postgres", "url": "db1:5432", "user": "grafana", "orgId": 2, "editable": True,
        "jsonData": {"database": "orders", "maxOpenConns": 15, "connMaxLifetime": 0},
    }  # fmt: skip
    assert (orders.line, orders.lines["maxOpenConns"], orders.lines["jsonData"], orders.indent) == (6, 15, 13, 6)
    assert (machines.told["uid"], machines.told["jsonData"], machines.line) == ("pg-m", {}, 18)
    assert metrics.told["type"] == "prometheus"
    assert "s3cr3tW0rd" not in repr([orders, machines, metrics])


@READERS
def test_a_list_that_is_not_indented(reader: Callable[[str], list[Entry]]) -> None:
    shop, till = reader(FLAT)
    assert (shop.told["name"], shop.line, shop.lines["jsonData"], shop.indent) == ("Shop", 2, 4, 4)
    assert (till.told["name"], till.told["database"], till.line) == ("Till", "till", 6)


@READERS
def test_what_holds_none(reader: Callable[[str], list[Entry]]) -> None:
    for text in ("", "apiVersion: 1\n", "datasources:\n", "deleteDatasources:\n  - name: Shop\n    type: postgres\n"):
        assert reader(text) == []


def test_other_ways_of_writing_are_read_by_yaml() -> None:
    (one,) = read('{"datasources": [{"name": "S", "type": "postgres", "jsonData": {"maxOpenConns": 5}}]}')
    assert one.told["jsonData"] == {"maxOpenConns": 5}
    text = "base: &base\n  type: postgres\n  jsonData: &limits\n    maxOpenConns: 9\ndatasources:\n"
    text += "  - <<: *base\n    name: A\n  - <<: [*base]\n    name: B\n    jsonData:\n      <<: *limits\n"
    assert [(one.told["name"], one.told["jsonData"]["maxOpenConns"]) for one in read(text)] == [("A", 9), ("B", 9)]


def test_a_file_that_is_no_yaml_tells_the_line() -> None:
    with pytest.raises(YamlError, match="line 3: "):
        read("datasources:\n  - name: [\n: }")


@pytest.mark.parametrize(
    "text",
    [
        *("[" * 5000, "{a: " * 3000, "a: &a [*a]", "&a a: *a", "datasources: &x\n  - *x", "\0", "? [a]\n: b"),
        *("datasources: !!python/none 1", "datasources: [[], {}, 1, null, {? [1]: 2}]"),
        "datasources:\n - !!python/object/apply:os.system ['false']",
        "datasources:\n - &a\n   <<: *a\n   name: x",
    ],
)
def test_what_is_hostile_ends(text: str) -> None:
    with suppress(YamlError):
        read(text)


WORDS = [*YAML.splitlines(), *FLAT.splitlines(), "- -", "  jsonData:", "<<: *x", "&x", "\t", "{", "datasources:"]
TEXTS = st.one_of(st.text(), st.lists(st.sampled_from(WORDS)).map("\n".join))


@given(TEXTS)
def test_no_file_raises_anything_else(text: str) -> None:
    list(by_form(text))
    try:
        found = read(text)
    except YamlError:
        return
    assert all(isinstance(one.told["jsonData"], dict) and one.line > 0 for one in found)


@given(TEXTS)
def test_without_yaml_nothing_is_raised(text: str) -> None:
    before = provisioning.has_yaml
    provisioning.has_yaml = lambda: False
    try:
        assert all(one.line > 0 for one in read(text))
    finally:
        provisioning.has_yaml = before
