"""Alert rules of provisioning files, as Grafana's documentation writes them."""

from __future__ import annotations

from pathlib import Path

import pytest

from pgusher.collect.grafana import rule_files
from pgusher.collect.grafana.rule_files import read_rule_files
from pgusher.model.panels import PanelKind

WHERE = "/etc/grafana/provisioning"
RULES = """\
apiVersion: 1
groups:
  - orgId: 2
    name: shop
    folder: Sales
    interval: 60s
    rules:
      - uid: late-orders
        title: Late orders
        condition: B
        data:
          - refId: A
            datasourceUid: pg
            model:
              rawSql: |
                SELECT count(*) FROM orders
                WHERE $__timeFilter(placed) AND late
          - refId: B
            datasourceUid: __expr__
            model: {type: threshold, expression: A}
      - title: Torn
        data: nothing
  - rules: nothing
"""


@pytest.fixture
def files(tmp_path: Path) -> Path:
    made = tmp_path / WHERE[1:] / "alerting"
    made.mkdir(parents=True)
    return made


def test_rules_of_yaml(files: Path, tmp_path: Path) -> None:
    (files / "shop.yaml").write_text(RULES)
    (files / "read.me").write_text("rawSql: select 1")
    (rule,), gaps = read_rule_files(str(tmp_path), WHERE)
    assert (rule.kind, rule.place, rule.org, rule.source) == (
        PanelKind.ALERT, "Sales: alert rule Late orders (A)", 2, "pg",
    )  # fmt: skip
    assert rule.sql.startswith("SELECT count(*) FROM orders\nWHERE $__timeFilter(placed)")
    assert rule.link == "/alerting/grafana/late-orders/view"
    assert gaps == ()


@pytest.mark.parametrize("content", ["groups: [", "a: &a [*a]\n- b", "\x01", "x: !!python/object:os.system {}"])
def test_torn_files_are_gaps_and_the_others_are_read(files: Path, tmp_path: Path, content: str) -> None:
    (files / "a.yml").write_text(content)
    (files / "b.json").write_text("{")
    (files / "c.yaml").write_text(RULES)
    panels, gaps = read_rule_files(str(tmp_path), WHERE)
    assert len(panels) == 1
    assert [(gap.what, gap.why) for gap in gaps] == [
        (f"alert rules in {WHERE}/alerting/{name}", "it is torn") for name in ("a.yml", "b.json")
    ]


@pytest.mark.parametrize("content", ["", "1", "[]", "groups: {}", "groups: [1, {rules: [1, {data: [1]}]}]"])
def test_what_has_no_rules_is_none(files: Path, tmp_path: Path, content: str) -> None:
    (files / "a.yml").write_text(content)
    assert read_rule_files(str(tmp_path), WHERE) == ((), ())


def test_without_pyyaml_it_is_told(files: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rule_files, "has_yaml", lambda: False)
    (files / "a.yml").write_text(RULES)
    (files / "b.yml").write_text("contactPoints: []")
    panels, (gap,) = read_rule_files(str(tmp_path), WHERE)
    assert (panels, gap.opens) == ((), "pip install 'pgusher[grafana]'")


def test_no_directory_is_nothing(tmp_path: Path) -> None:
    assert read_rule_files(str(tmp_path), WHERE) == ((), ())
