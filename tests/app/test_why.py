"""The use case behind `pgusher why`: the configuration's words for the rules, earlier looks, and pages."""

from __future__ import annotations

import pytest

from pgusher.app.config import Config
from pgusher.app.look import Look
from pgusher.app.why import check_rules, diagnose, page
from pgusher.diagnose import engine
from pgusher.errors import ConfigError
from pgusher.model.findings import Severity
from pgusher.model.values import replace
from tests.surfaces import worlds

INCIDENT = worlds.incident()
LOOK = Look((INCIDENT, worlds.quiet()), 1.0)


def config(*ignore: str, **ratios: float) -> Config:
    named = tuple((name.replace("_", "-"), value) for name, value in ratios.items())
    return Config("/etc/pgusher.toml", ignore=ignore, ratios=named)


def test_each_server_is_diagnosed_in_the_order_of_the_look() -> None:
    full, quiet = diagnose(LOOK, Config())
    assert "slots-exhausted" in {finding.rule for finding in full.findings}
    assert quiet.worst is not Severity.CRITICAL


def test_a_rule_or_one_finding_is_ignored_when_the_configuration_says_so() -> None:
    def found(told: Config) -> set[str]:
        return {finding.id for finding in diagnose(LOOK, told)[0].findings}

    before = found(Config())
    one = next(name for name in before if name == "overlapping-runs:cron/mail_digest")
    assert found(config(one)) == before - {one}
    assert diagnose(LOOK, config(one))[0].ignored == (one,)
    assert found(config("overlapping-runs")) >= {name for name in before if "overlapping-runs:" not in name}
    assert not any("overlapping-runs:" in name for name in found(config("overlapping-runs")))


@pytest.mark.parametrize(
    ("told", "words", "hint"),
    [
        (config("stuck-jbo"), "ignore[0]: no rule is called 'stuck-jbo'", "did you mean stuck-job?"),
        (config("stuck-job", "x:y"), "ignore[1]: no rule is called 'x'", "all rules: pgusher rules"),
        (config(slots_runing_out=1.0), "ratios.slots-runing-out: no rule is called", "did you mean slots-running-out?"),
    ],
)
def test_a_name_of_no_rule_is_told_with_its_place(told: Config, words: str, hint: str) -> None:
    with pytest.raises(ConfigError) as caught:
        diagnose(LOOK, told)
    assert caught.value.message.startswith(f"/etc/pgusher.toml: {words}")
    assert caught.value.hint == hint
    check_rules(config("stuck-job", "stuck-job:cron/x", slots_running_out=0.5))


def test_the_look_before_is_that_of_the_same_server(monkeypatch: pytest.MonkeyPatch) -> None:
    given = []
    monkeypatch.setattr(engine, "diagnose", lambda snapshot, **kinds: given.append((snapshot, kinds["earlier"])))
    earlier = Look((replace(worlds.quiet(), chains=()), replace(INCIDENT, chains=())), 1.0)
    diagnose(LOOK, Config(), earlier)
    assert given == [(LOOK.snapshots[0], earlier.snapshots[1]), (LOOK.snapshots[1], earlier.snapshots[0])]
    given.clear()
    diagnose(LOOK, Config(), Look((), 1.0))
    assert [before for _, before in given] == [None, None]


@pytest.mark.parametrize("name", engine.names())
def test_every_rule_has_a_page(name: str) -> None:
    assert page(name).startswith("# ")
