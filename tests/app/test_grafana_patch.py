"""The change of a provisioning file: only the lines that change, and it means what it should."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from pgusher.app.grafana_patch import diff_of, patch
from pgusher.collect.grafana import provisioning
from pgusher.collect.grafana.host import of_files
from pgusher.model.grafana import DataSource, Place
from pgusher.model.grafana_limits import limits
from pgusher.model.values import replace

SECRET = "      password: s3cr3tW0rd\n"
HEAD = "datasources:\n  - name: Shop\n    type: postgres\n"
FLAT = "datasources:\n- name: Shop\n  type: postgres\n"
HIDDEN = f"    secureJsonData:\n{SECRET}"
FILES = {
    "set": f"{HEAD}{HIDDEN}    jsonData:\n      sslmode: disable\n      maxOpenConns: 100 # too many\n",
    "not set": f"{FLAT}  jsonData:\n    sslmode: disable\n  secureJsonData:\n{SECRET}",
    "no jsonData": f"{HEAD}{HIDDEN}  - name: B\n    type: mysql\n",
    "no end of line": f"{HEAD}    jsonData:\n      maxOpenConns: 5",
}


def applied(content: str, diff: str) -> str:
    """As patch(1) does it, which is not everywhere."""
    head, *lines = diff.splitlines(keepends=True)[2:]
    match = re.fullmatch(r"@@ -(\d+),(\d+) \+(\d+),(\d+) @@\n", head)
    assert match is not None
    at, gone, _, come = map(int, match.groups())
    old = [line[1:] for line in lines if line.startswith("-")]
    new = [line[1:] for line in lines if line.startswith("+")]
    if any(line.startswith("\\") for line in lines):
        old, new = ([line.removesuffix("\n") for line in part] for part in (old, new))
    whole = content.splitlines(keepends=True)
    first = at - 1 if gone else at
    assert (len(old), len(new), whole[first : first + gone]) == (gone, come, old)
    return "".join([*whole[:first], *new, *whole[first + gone :]])


def source(line: int = 2) -> DataSource:
    found = limits("12.0.0", "postgres", {}, {})
    return DataSource("u", "Shop", 1, "postgres", "db1", 5432, "d", "grafana", found, place=Place("/p/shop.yaml", line))


@pytest.mark.parametrize("name", FILES)
def test_the_patch_sets_the_limit_and_shows_nothing_else(name: str) -> None:
    diff = diff_of(FILES[name], source(), 10, "/p/shop.yaml")
    assert diff is not None
    assert "s3cr3tW0rd" not in diff
    result = applied(FILES[name], diff)
    (mine, *_), (before, *_) = provisioning.read(result), provisioning.read(FILES[name])
    assert mine.told == {**before.told, "jsonData": {**before.told["jsonData"], "maxOpenConns": 10}}
    assert result.count("s3cr3tW0rd") == FILES[name].count("s3cr3tW0rd")


def test_the_default_is_brought_back() -> None:
    assert (
        diff_of(FILES["set"], source(), None, "f")
        == "--- f\n+++ f\n@@ -8,1 +7,0 @@\n-      maxOpenConns: 100 # too many\n"
    )
    assert diff_of(FILES["not set"], source(), None, "f") is None


@pytest.mark.parametrize(
    "text",
    [
        "datasources: [{name: Shop, type: postgres, jsonData: {maxOpenConns: 5}}]\n",
        "datasources:\n  - name: Shop\n    type: postgres\n    jsonData: {sslmode: disable}\n",
        "x: &x\n  maxOpenConns: 5\ndatasources:\n  - name: Shop\n    type: postgres\n    jsonData: *x\n",
        "",
    ],
)
def test_what_is_written_otherwise_is_told_in_words(text: str) -> None:
    for line in range(1, 6):
        found = diff_of(text, source(line), 10, "f")
        assert found is None or ("maxOpenConns: 10" in found and "*x" not in found)


def test_without_the_file_there_are_words(tmp_path: Path) -> None:
    grafana = of_files(str(tmp_path))
    made = patch(grafana, replace(source(), place=None), 10)
    assert (made.file, made.diff) == (None, "")
    assert made.text == "in jsonData of data source Shop: maxOpenConns: 10; its provisioning file was not found"


def test_the_file_is_read_as_its_process_sees_it(tmp_path: Path) -> None:
    (tmp_path / "7/root/p").mkdir(parents=True)
    (tmp_path / "7/root/p/shop.yaml").write_text(FILES["set"])
    grafana = replace(of_files(str(tmp_path)), processes=(7,))
    made = patch(grafana, source(), 10, str(tmp_path))
    assert made.diff.splitlines()[-1] == "+      maxOpenConns: 10 # too many"
    assert patch(grafana, replace(source(), place=Place("/p/other.yaml", 2)), 10, str(tmp_path)).diff == ""
